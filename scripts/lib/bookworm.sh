# shellcheck shell=sh
# Debian 12 out of packages, as any user. Needs console.sh, debian.sh and $CONTEXT.
# What the image is made of depends on this file: a change rebuilds it.

: "${CONTEXT:?the script that sources this sets it}"

# host_ca_bundle: the file of certificates that this machine trusts.
host_ca_bundle() {
    for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt \
        /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
        if [ -n "$file" ] && [ -r "$file" ]; then echo "$file"; return 0; fi
    done
    return 1
}

# bookworm_sources: the machine's mirrors, for Debian 12 whatever it runs itself.
bookworm_sources() {
    if [ -n "${DEBIAN_MIRROR:-}" ]; then
        printf 'Types: deb\nURIs: %s\nSuites: bookworm\nComponents: main\n' "$DEBIAN_MIRROR"
        echo 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg'
        return 0
    fi
    file=$(debian_sources) || return 1
    sed "s/$(debian_codename)/bookworm/g" "$file"
}

# private_apt STATE ARGUMENT...: apt-get on lists and a cache of its own, for any
# user, as if nothing were installed.
private_apt() {
    state=$1
    shift
    apt-get -q -y -o Dir::State="$state" -o Dir::State::status="$state/status" \
        -o Dir::Cache="$state/cache" -o Dir::Etc::sourcelist="$state/bookworm.$sources_kind" \
        -o Dir::Etc::sourceparts=- -o Dir::Etc::preferences=/dev/null \
        -o Dir::Etc::preferencesparts=- -o APT::Sandbox::User= \
        -o Debug::NoLocking=1 -o Acquire::Languages=none "$@"
}

# unpack_packages DIRECTORY: root.tar and debs/ for the Dockerfile.
unpack_packages() {
    work=$1
    if [ -n "${DEBIAN_MIRROR:-}" ]; then sources_kind=sources; else
        file=$(debian_sources) || die 4 "this machine names no Debian mirror" \
            "DEBIAN_MIRROR=URL names one; it also needs Debian's debian-archive-keyring"
        sources_kind=${file##*.}
    fi
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/debs"
    : >"$work/apt/status"
    bookworm_sources >"$work/apt/bookworm.$sources_kind"
    quietly private_apt "$work/apt" update || die 4 "Debian 12's package lists could not be read" \
        "check the mirror in $(debian_sources || echo DEBIAN_MIRROR)"
    # shellcheck disable=SC2046  # a list of package names
    quietly private_apt "$work/apt" install --download-only --no-install-recommends \
        '?essential' $(cat "$CONTEXT/packages.txt") ||
        die 4 "Debian 12's packages could not be fetched" "see the lines above"
    mv "$work"/apt/cache/archives/*.deb "$work/debs/"
    make_root "$work" "$work/tree"
}

make_root() {
    tree=$2
    mkdir -p "$tree/usr" "$tree/etc/apt/sources.list.d" "$tree/etc/dpkg/dpkg.cfg.d" \
        "$tree/etc/apt/apt.conf.d" "$tree/var/lib/dpkg/info" "$tree/var/lib/dpkg/updates"
    for name in bin sbin lib lib32 lib64 libx32; do
        mkdir "$tree/usr/$name"
        ln -s "usr/$name" "$tree/$name"
    done
    for deb in "$1"/debs/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" |
            tar -xp -C "$tree" --keep-directory-symlink --no-same-owner
    done
    : >"$tree/var/lib/dpkg/status"
    : >"$tree/var/lib/dpkg/available"
    cp "$1/apt/bookworm.$sources_kind" "$tree/etc/apt/sources.list.d/debian.$sources_kind"
    printf 'path-exclude=/usr/share/%s/*\n' doc man info locale lintian \
        >"$tree/etc/dpkg/dpkg.cfg.d/slim"
    echo 'path-include=/usr/share/doc/*/copyright' >>"$tree/etc/dpkg/dpkg.cfg.d/slim"
    # shellcheck disable=SC2016  # apt's own syntax
    printf '%s\n' 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' \
        'Acquire::Languages "none";' 'Acquire::GzipIndexes "true";' \
        >"$tree/etc/apt/apt.conf.d/slim"
    (cd "$tree/usr/share" && find man info locale lintian -mindepth 1 -delete 2>/dev/null) || :
    tar -c -C "$tree" --owner=0 --group=0 --numeric-owner -f "$1/root.tar" .
    chmod -R u+rwX "$tree"
    rm -rf "$tree" "$1/apt"
}
