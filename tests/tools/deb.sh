#!/usr/bin/env bash
# Makes the Debian package circus_$1_ARCH.deb of the release binary in the directory $2, with dpkg-deb alone.
set -euo pipefail

version=$1
out=$(mkdir -p "$2" && cd "$2" && pwd)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"

cd "$root"
make --no-print-directory install DESTDIR="$stage" PREFIX=/usr \
    zshdir="$stage/usr/share/zsh/vendor-completions" > /dev/null
find "$stage/usr/share/man" -type f -exec gzip -9n {} +
install -D -m 644 examples/minimal.ini "$stage/etc/circus/circus.ini"
install -D -m 644 LICENSE-MIT "$stage/usr/share/doc/circus/copyright"
cat LICENSE-APACHE >> "$stage/usr/share/doc/circus/copyright"

# The version of the C library that the binary asks for.
glibc=$(objdump -T "$stage/usr/bin/circus" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -Vu | tail -n 1)
mkdir "$stage/DEBIAN"
echo /etc/circus/circus.ini > "$stage/DEBIAN/conffiles"
cat > "$stage/DEBIAN/control" << CONTROL
Package: circus
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: the circus developers <circus@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$stage" | cut -f1)
Depends: libc6 (>= $glibc)
Section: admin
Priority: optional
Description: process and socket manager
 Runs programs, keeps them running, holds their sockets and collects their
 output, as a circus.ini says. Controlled over a Unix socket; also the init of a
 container.
CONTROL

script() {
    cat > "$stage/DEBIAN/$1"
    chmod 755 "$stage/DEBIAN/$1"
}
script postinst << 'SH'
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart circus.service
fi
SH
script prerm << 'SH'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl --no-reload disable --now circus.service
fi
SH
script postrm << 'SH'
#!/bin/sh
set -e
if [ "$1" = purge ]; then
    rmdir --ignore-fail-on-non-empty /etc/circus /run/circus 2> /dev/null || true
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
SH
dpkg-deb --root-owner-group --build "$stage" "$out/circus_${version}_$(dpkg --print-architecture).deb" > /dev/null
ls "$out"/circus_"$version"_*.deb
