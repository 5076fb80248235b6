#!/bin/sh
# Turn unpacked packages into an installed Debian. Runs inside the build of the
# base image, where /debs holds the packages and their files are in place.
set -eu
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin

# Nothing that gets installed in an image may start a service.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d

dpkg --force-depends --install /debs/base-passwd_*.deb
dpkg --force-depends --install /debs/base-files_*.deb
dpkg --force-depends --unpack /debs/*.deb
dpkg --configure --pending

# Only what packages.txt names was asked for; the rest came along with it.
apt-mark --quiet=2 auto '~i'
xargs apt-mark --quiet=2 manual </packages.txt

ln -sf python3 /usr/bin/python
rm -rf /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/*.log \
    /var/log/apt /var/cache/ldconfig/aux-cache /root.tar
: >/etc/machine-id
