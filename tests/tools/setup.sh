#!/usr/bin/env bash
# Sets up what the tests need and nothing else: Debian packages when programs are missing, and a venv below the
# target directory with the Python programs of requirements.txt.
#
#   tests/tools/setup.sh              everything
#   tests/tools/setup.sh mandoc venv  only these: program names of the table below, or "venv"
#
# Does nothing, quickly, when all is there. Exit code 1 with the reason when something cannot be installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
requirements=$here/requirements.txt
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# program:Debian package
table="nginx:nginx redis-server:redis-server wrk:wrk mandoc:mandoc strace:strace logrotate:logrotate zsh:zsh fish:fish
    promtool:prometheus systemd-analyze:systemd busybox:busybox php-fpm:php-fpm"

cd "$root"
venv=${CARGO_TARGET_DIR:-target}/venv

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# Debian starts a service as soon as its package is installed, unless /usr/sbin/policy-rc.d says no. A file that
# is there already belongs to the administrator and stays as it is.
policy=/usr/sbin/policy-rc.d
own_policy=

forbid_services() {
    if (set -o noclobber && printf '#!/bin/sh\nexit 101\n' > "$policy") 2> /dev/null; then
        own_policy=$policy
        chmod 755 "$policy"
    fi
}

allow_services() {
    [ -z "$own_policy" ] || rm -f "$own_policy"
    own_policy=
}
trap allow_services EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

install_packages() {
    local packages="$*"
    [ "$(id -u)" = 0 ] || fail "missing, and only root can install: $packages" \
        "run: sudo apt-get install $packages"
    command -v apt-get > /dev/null || fail "missing, and there is no apt-get here: $packages" \
        "install the programs of these Debian packages by hand, then run again"
    forbid_services
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq)
    "${apt[@]}" update || fail "apt-get update failed; see above, check the network and /etc/apt, then run again"
    "${apt[@]}" install -y --no-install-recommends "$@" ||
        fail "apt-get could not install: $packages" "see above for the reason, install them, then run again"
    allow_services
}

# The packages of the programs named that are not there. The name of one may end with a version, as php-fpm8.2 does.
missing_packages() {
    local row
    for row in $table; do
        case " $* " in
        *" ${row%%:*} "*) compgen -c "${row%%:*}" > /dev/null || echo "${row##*:}" ;;
        esac
    done
}

# A python3 that can make a venv: Debian's own may lack ensurepip, another one on the PATH may have it.
find_python() {
    local python
    for python in python3 /usr/local/bin/python3 /usr/bin/python3; do
        if "$python" -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null; then
            echo "$python"
            return
        fi
    done
}

make_venv() {
    cmp -s "$requirements" "$venv/requirements.txt" && return
    local python
    python=$(find_python)
    if [ -z "$python" ]; then
        install_packages python3 python3-venv
        python=$(find_python)
    fi
    [ -n "$python" ] || fail "no python3 of 3.10 or newer with the venv module was found" \
        "install one, then run again"
    echo "setup: making $venv"
    rm -rf "$venv"
    mkdir -p "$(dirname "$venv")"
    "$python" -m venv "$venv" || fail "$python could not make a venv in $venv; see above"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" ||
        fail "pip could not install $(tr '\n' ' ' < "$requirements")" \
            "see above for the reason, check the network, then run again"
    # Written last: a venv without it is one that was not finished.
    cp "$requirements" "$venv/requirements.txt"
}

wanted=("$@")
if [ $# = 0 ]; then
    for row in $table; do
        wanted+=("${row%%:*}")
    done
    wanted+=(venv)
fi
for name in "${wanted[@]}"; do
    case " $table venv:" in
    *" $name:"*) ;;
    *) fail "unknown program: $name" ;;
    esac
done

mapfile -t packages < <(missing_packages "${wanted[@]}")
if [ ${#packages[@]} -gt 0 ]; then
    install_packages "${packages[@]}"
fi
case " ${wanted[*]} " in
*" venv "*) make_venv ;;
esac
