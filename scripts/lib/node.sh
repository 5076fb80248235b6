# shellcheck shell=sh
# Node.js, which the tests' TypeScript client runs on. Needs console.sh, debian.sh.

NODE_MINIMUM=18

node_suits() {
    have npm && have node &&
        node -e "process.exit(parseInt(process.versions.node) < $NODE_MINIMUM ? 1 : 0)"
}

# ensure_node: after this there are node and npm, or the script has ended with code 5.
ensure_node() {
    if node_suits; then
        say "Node.js $(node --version)"
        return 0
    fi
    missing="no Node.js $NODE_MINIMUM or newer with npm"
    case $(distribution) in
    debian* | ubuntu*) ;;
    *) die 5 "$missing" "install it with your system's package manager" ;;
    esac
    if ! can_become_root || ! confirm "Install nodejs and npm?"; then
        die 5 "$missing" "sudo apt-get install nodejs npm"
    fi
    changed
    say "installing nodejs and npm"
    { refresh_packages && install_packages nodejs npm; } ||
        die 5 "Node.js could not be installed" "see the lines above"
    node_suits || die 5 "this system's Node.js is too old" "install a newer one"
    say "Node.js $(node --version) (new)"
}
