#!/usr/bin/env bash
# The life of the server's Debian package: installed, upgraded, removed and purged. Nothing of
# it reaches the machine: it happens on a copy of its files that lasts as long as this script.
#
# Usage: unshare --mount --pid --fork bash package_life.sh SCRATCH OLD.deb NEW.deb
# Exit code 77: it can't be tried here.
set -euo pipefail

skip() {
    echo "skipped: $*"
    exit 77
}

# Outside: makes the copy, and looks afterwards at what is left in it.
outside() {
    local scratch=$1 old=$2 new=$3 left
    mount --make-rprivate /
    mount -t tmpfs tmpfs "$scratch"
    mkdir "$scratch"/{upper,work,root}
    local layers=lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work
    mount -t overlay overlay -o "$layers" "$scratch/root" || skip "there is no overlay file system"
    [[ -x $scratch/root/usr/bin/dpkg ]] || skip "the system's programs are on another disk"
    mount -t proc proc "$scratch/root/proc"
    mount --rbind /dev "$scratch/root/dev"
    # Nothing of the running system: there is no systemd to be spoken to.
    mount -t tmpfs tmpfs "$scratch/root/run"
    mkdir "$scratch/root/package"
    cp "$old" "$scratch/root/package/old.deb"
    cp "$new" "$scratch/root/package/new.deb"
    cp "$0" "$scratch/root/package/life.sh"
    # The index of manual pages takes its time, and is another package's.
    rm -f "$scratch/root/var/lib/man-db/auto-update"
    chroot "$scratch/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
        bash /package/life.sh inside
    left=$(cd "$scratch/upper" && rm -r package &&
        find . -path ./var/cache -prune -o \( -name '*natter*' -o -name '*topicserver*' \) -print)
    [[ -z $left ]] || {
        echo "left behind: $left"
        return 1
    }
}

CONFIG=/etc/natter/topicserver.toml
DATA=/var/lib/natter
SERVER=

# Fails with the line's number, and what isn't so.
expect() {
    "$@" || {
        echo "line ${BASH_LINENO[0]}: not so: $*"
        [[ ! -e /package/log ]] || cat /package/log
        exit 1
    }
}

AS_NATTER=(setpriv --reuid natter --regid natter --clear-groups)

# Starts the server as the unit does, on any port, and sets `address`.
start_server() {
    install -d -o natter -g natter -m 0700 /run/natter
    # Otherwise the address of the server before may still be read.
    : >/package/log
    "${AS_NATTER[@]}" topicserver 0 --config "$CONFIG" --data "$DATA" 2>/package/log &
    SERVER=$!
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        address=$(sed -n 's/.*listening on //p' /package/log | head -n 1)
        [[ -z $address ]] || return 0
        sleep 0.1
    done
    expect test -n "$address"
}

stop_server() {
    kill -TERM "$SERVER"
    expect wait "$SERVER"
}

status_is() {
    [[ $(dpkg-query -W -f '${Status} ${Version}' natter-server) == "$1" ]]
}

has_text() {
    grep -qF "$2" <<<"$1"
}

installed() {
    dpkg --force-unsafe-io -i /package/old.deb
    expect status_is "install ok installed 0.0.9-1"
    expect test "$(stat -c '%U %G %a' "$DATA")" = "natter natter 700"
    expect test "$(getent passwd natter | cut -d : -f 7)" = /usr/sbin/nologin
    expect test -L /etc/systemd/system/multi-user.target.wants/natter.service
    expect test ! -e /etc/systemd/system/sockets.target.wants/natter.socket
    for file in bash-completion/completions/topicserver fish/vendor_completions.d/topicserver.fish \
        zsh/vendor-completions/_topicserver man/man1/topicserver.1.gz \
        doc/natter-server/copyright doc/natter-server/docs/operations.md; do
        expect test -s "/usr/share/$file"
    done
    if command -v systemd-analyze >/dev/null; then
        local said
        said=$(systemd-analyze verify natter.service natter.socket 2>&1 | grep natter || true)
        expect test -z "$said"
    fi
    install -d -o natter -g natter -m 0700 /run/natter
    expect "${AS_NATTER[@]}" topicserver check-config "$CONFIG" --data "$DATA" >/package/checked
    expect grep -q 'bind = "127.0.0.1"  # /etc/natter/topicserver.toml' /package/checked
    start_server
    expect has_text "$address" 127.0.0.1:
    expect curl -fsS -d "before the upgrade" "http://$address/lab"
    expect topicserver top unix:/run/natter/admin --count 1
    stop_server
}

upgraded() {
    echo 'max-frame = "32KiB"' >>"$CONFIG"
    # An administrator disables the service, as systemctl would: that stays so.
    rm /etc/systemd/system/multi-user.target.wants/natter.service
    dpkg --force-unsafe-io -i /package/new.deb
    expect status_is "install ok installed 0.1.0-1"
    expect grep -q 32KiB "$CONFIG"
    expect test ! -e /etc/systemd/system/multi-user.target.wants/natter.service
    start_server
    expect has_text "$(curl -fsS "http://$address/lab?poll=1&last=1")" "before the upgrade"
    stop_server
}

removed() {
    dpkg --force-unsafe-io -r natter-server
    expect status_is "deinstall ok config-files 0.1.0-1"
    expect test ! -e /usr/bin/topicserver
    expect grep -q 32KiB "$CONFIG"
    expect test -d "$DATA/database"
}

purged() {
    dpkg --force-unsafe-io -P natter-server
    expect test ! -e /etc/natter
    expect test ! -e "$DATA"
}

if [[ $1 == inside ]]; then
    for stage in installed upgraded removed purged; do
        "$stage"
        echo "$stage as it should be"
    done
else
    for tool in dpkg systemd-sysusers deb-systemd-helper setpriv curl; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
    outside "$@"
fi
