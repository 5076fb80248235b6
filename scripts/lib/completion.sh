# shellcheck shell=sh
# Shell completion for invoke. Needs console.sh and python.sh.

# completion_file: where the user's shell looks for it by itself, or nothing.
completion_file() {
    [ -n "${HOME:-}" ] && [ -w "${HOME:-/nonexistent}" ] || return 1
    case ${SHELL:-} in
    */bash) echo "${XDG_DATA_HOME:-$HOME/.local/share}/bash-completion/completions/invoke" ;;
    */fish) echo "${XDG_CONFIG_HOME:-$HOME/.config}/fish/completions/invoke.fish" ;;
    *) return 1 ;;
    esac
}

offer_completion() {
    if ! file=$(completion_file); then
        say "for your shell: invoke --print-completion-script bash|zsh|fish"
        return 0
    fi
    shell=${SHELL##*/}
    script=$("$VENV/bin/invoke" --print-completion-script "$shell")
    if [ -e "$file" ]; then
        say "$file is there"
    elif confirm "Complete invoke's tasks in $shell ($file)?"; then
        mkdir -p "$(dirname "$file")"
        printf '%s\n' "$script" >"$file"
        changed
        say "$file (new)"
    else
        say "left out: invoke --print-completion-script $shell >$file adds it"
    fi
}
