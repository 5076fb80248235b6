# shellcheck shell=sh
# The project's virtual environment: .venv, exactly what requirements.lock says.
# Needs console.sh, debian.sh and $root.

PYTHON_MINIMUM=3.11
: "${root:?the script that sources this sets it}"
VENV=$root/.venv
LOCK=$root/requirements.lock
STAMP=$VENV/installed.lock

# suits PYTHON: it runs, is new enough and can make virtual environments.
suits() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
        >/dev/null 2>&1
}

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if have "$name" && suits "$name"; then
            echo "$name"
            return 0
        fi
    done
    return 1
}

environment_works() {
    "$VENV/bin/python" -c 'import invoke, nox, pytest, python_on_whales, yaml' \
        >/dev/null 2>&1 && "$VENV/bin/invoke" --version >/dev/null 2>&1
}

environment_is_current() { cmp -s "$LOCK" "$STAMP" && environment_works; }

install_python() {
    case $(distribution) in
    debian* | ubuntu*) ;;
    *) die 5 "no Python $PYTHON_MINIMUM or newer with venv" \
        "install one with your system's package manager, or install uv" ;;
    esac
    can_become_root || die 5 "no Python $PYTHON_MINIMUM or newer with venv" \
        "ask for: apt-get install python3 python3-venv ca-certificates"
    confirm "Install python3, python3-venv and ca-certificates?" ||
        die 5 "no Python $PYTHON_MINIMUM or newer with venv" \
            "sudo apt-get install python3 python3-venv ca-certificates"
    say "installing python3 and python3-venv"
    { refresh_packages && install_packages python3 python3-venv ca-certificates; } ||
        die 5 "Python could not be installed" "see the lines above"
    find_python >/dev/null || die 5 \
        "this system's python3 is older than $PYTHON_MINIMUM" \
        "install a newer one, or install uv"
}

make_environment() {
    if have uv; then
        say "making .venv with uv"
        # shellcheck disable=SC2310  # a failure leads to the other way
        quietly uv venv --quiet --clear --python ">=$PYTHON_MINIMUM" "$VENV" && return
    fi
    find_python >/dev/null || install_python
    say "making .venv with $(find_python)"
    quietly "$(find_python)" -m venv --clear "$VENV" ||
        die 5 "the virtual environment could not be made" "see the lines above"
}

install_requirements() {
    say "installing what requirements.lock names"
    if have uv; then
        quietly uv pip sync --quiet --require-hashes --compile-bytecode \
            --python "$VENV/bin/python" "$LOCK"
    else
        quietly "$VENV/bin/python" -m pip install --quiet --no-deps --require-hashes \
            --disable-pip-version-check --requirement "$LOCK"
    fi || die 5 "the packages could not be installed" \
        "see the lines above; check that this machine reaches a Python package index"
}

# ensure_environment: after this .venv holds what the lock names, or the script
# has ended with code 5. Sets changed=1 when it did anything.
ensure_environment() {
    if environment_is_current; then
        say "$("$VENV/bin/python" --version) in .venv, as locked"
        return 0
    fi
    changed
    "$VENV/bin/python" -c 'import pip' >/dev/null 2>&1 ||
        { have uv && "$VENV/bin/python" --version >/dev/null 2>&1; } || make_environment
    install_requirements
    environment_works || {
        make_environment
        install_requirements
    }
    environment_works || die 5 "the virtual environment does not work" \
        "remove .venv and run this again"
    cp "$LOCK" "$STAMP"
    say "$("$VENV/bin/python" --version) in .venv (new)"
}
