#!/bin/busybox sh
# The first process of the virtual machine: mounts what a distribution would, runs each suite as the only process of a unit of
# its own, says how it went, and turns the machine off.
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /dev/shm
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /plugins
cp "$DEBUG/mock" /plugins/mock
ip link set lo up
for controller in memory pids cpu; do
    echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
done
echo "machine: Linux $(uname -r), control groups of version 2 with $(cat /sys/fs/cgroup/cgroup.subtree_control)"

# in_unit NAME COMMAND...: the command is one process of the unit, as systemd starts a service.
in_unit() {
    unit=/sys/fs/cgroup/$1
    shift
    mkdir -p "$unit"
    sh -c 'echo $$ > '"$unit"'/cgroup.procs && exec "$@"' sh "$@"
}

# serve_in UNIT PORT USER: a server there, once it has said of its walls in /tmp/status.
serve_in() {
    rm -f /tmp/status
    address=http://127.0.0.1:$2
    in_unit "$1" su -s /bin/sh "$3" -c "exec $DEBUG/palisade server -dev -dev-root-token-id=root \
        -dev-plugin-dir=/plugins -dev-listen-address=127.0.0.1:$2" > /tmp/log 2>&1 &
    for second in $(seq 60); do
        palisade status > /tmp/status 2>/dev/null && break
        sleep 1
    done
    grep Process /tmp/status || cat /tmp/log
}

# palisade WORD...: its command line, of the server that was started last.
palisade() {
    BAO_ADDR=$address BAO_TOKEN=root "$DEBUG/palisade" "$@"
}

# limited UNIT: whether all that control groups do is done there.
limited() {
    for wall in memory pids cpu kill; do
        grep Protections /tmp/status | grep -q "cgroup.$wall" || echo "machine: $1: cgroup.$wall failed"
    done
}

end() {
    echo 1 > "/sys/fs/cgroup/$1/cgroup.kill"
}

serve_in alone 8200 root
limited alone
end alone

# Beside a stranger nothing can be limited, but everything can be ended.
in_unit shared sleep 100000 &
until grep -q . /sys/fs/cgroup/shared/cgroup.procs; do
    sleep 1
done 2>/dev/null
serve_in shared 8201 root
grep Protections /tmp/status | grep -q cgroup.kill || echo "machine: a server beside a stranger failed"
grep Lacks /tmp/status | grep -q cgroup.memory || echo "machine: a server beside a stranger failed"
end shared

# An ordinary user whom nothing was delegated to can make no groups.
serve_in private 8202 plain
grep Lacks /tmp/status | grep -q cgroup.memory || echo "machine: a server of an ordinary user failed"
end private

# One to whom its unit was delegated, as systemd does with `User=` and `Delegate=yes`.
mkdir /sys/fs/cgroup/delegated
chown plain /sys/fs/cgroup/delegated
for file in procs subtree_control threads; do
    chown plain "/sys/fs/cgroup/delegated/cgroup.$file"
done
serve_in delegated 8203 plain
limited delegated
palisade plugin register "-sha256=$(sha256sum /plugins/mock | cut -d' ' -f1)" -command=mock \
    -limit=memory_bytes=50331648 -require=cgroup.memory -require=cgroup.kill secret mock &&
    palisade secrets enable mock && palisade write mock/kv/x value=1 && palisade read mock/kv/x ||
    echo "machine: a plugin in a delegated unit failed"
grep -q 50331648 /sys/fs/cgroup/delegated/palisade-*/*/memory.max || echo "machine: a limit in a delegated unit failed"
end delegated

while read -r suite package words; do
    echo "machine: $suite $words"
    cd "$PACKAGES/$package"
    in_unit "$suite" "$DEBUG/deps/$suite" --color=never $words < /dev/null || echo "machine: $suite failed"
done < /suites
echo "machine: done"
poweroff -f
