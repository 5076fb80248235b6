# shellcheck shell=sh
# Debian's promtool and node exporter, which the tests let read the metrics. They are
# taken out of their packages: to install these would start services. Needs console.sh,
# debian.sh and $VENV, whose bin is on PATH.

PROMETHEUS_PACKAGES="prometheus prometheus-node-exporter"

prometheus_tools() { have promtool && have prometheus-node-exporter; }

# take_out FOLDER: download the packages there, and put their programs into .venv.
take_out() (
    cd "$1" || exit 1
    # shellcheck disable=SC2086  # a list of package names
    quietly apt-get download -q $PROMETHEUS_PACKAGES || exit 1
    for package in ./*.deb; do
        dpkg-deb -x "$package" .
    done
    cp usr/bin/promtool usr/bin/prometheus-node-exporter "$VENV/bin/"
)

# ensure_prometheus: after this there are both programs, or the script has ended with
# code 5; on other systems than Debian's the tests that need them are skipped.
ensure_prometheus() {
    if prometheus_tools; then
        say "promtool and prometheus-node-exporter"
        return 0
    fi
    case $(distribution) in
    debian* | ubuntu*) ;;
    *)
        say "no promtool and prometheus-node-exporter: what needs them is skipped"
        return 0
        ;;
    esac
    changed
    say "taking promtool and the node exporter out of their packages"
    folder=$(mktemp -d)
    # shellcheck disable=SC2310  # a failure leads to the other way
    take_out "$folder" ||
        { can_become_root && refresh_packages && take_out "$folder"; } ||
        die 5 "promtool and prometheus-node-exporter could not be had" \
            "see the lines above, or: sudo apt-get install $PROMETHEUS_PACKAGES"
    rm -rf "$folder"
    say "promtool and prometheus-node-exporter (new)"
}
