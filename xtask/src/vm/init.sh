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

# status_in UNIT PORT: what a server there says of its walls. Then everything in the unit is ended.
status_in() {
    in_unit "$1" "$DEBUG/palisade" server -dev -dev-root-token-id=root \
        "-dev-listen-address=127.0.0.1:$2" > /tmp/log 2>&1 &
    for second in $(seq 60); do
        BAO_ADDR="http://127.0.0.1:$2" BAO_TOKEN=root "$DEBUG/palisade" status > /tmp/status 2>/dev/null && break
        sleep 1
    done
    grep Process /tmp/status || cat /tmp/log
    echo 1 > "/sys/fs/cgroup/$1/cgroup.kill"
}

status_in alone 8200
for wall in memory pids cpu kill; do
    grep Protections /tmp/status | grep -q "cgroup.$wall" || echo "machine: a server alone in its unit failed"
done
# Beside a stranger nothing can be limited, but everything can be ended.
in_unit shared sleep 100000 &
until grep -q . /sys/fs/cgroup/shared/cgroup.procs; do
    sleep 1
done 2>/dev/null
status_in shared 8201
grep Protections /tmp/status | grep -q cgroup.kill || echo "machine: a server beside a stranger failed"
grep Lacks /tmp/status | grep -q cgroup.memory || echo "machine: a server beside a stranger failed"

while read -r suite package words; do
    echo "machine: $suite $words"
    cd "$PACKAGES/$package"
    in_unit "$suite" "$DEBUG/deps/$suite" --color=never $words < /dev/null || echo "machine: $suite failed"
done < /suites
echo "machine: done"
poweroff -f
