#!/bin/sh
# First process of the bare machine. On cgroup v2 the processes of the root group
# move to one of their own, or no container could be given limits in here.
top=/sys/fs/cgroup
if [ -e "$top/cgroup.controllers" ]; then
    mkdir -p "$top/init"
    while read -r process; do echo "$process"; done <"$top/cgroup.procs" |
        while read -r process; do echo "$process" >"$top/init/cgroup.procs"; done
    sed 's/[^ ]*/+&/g' "$top/cgroup.controllers" >"$top/cgroup.subtree_control"
fi
exec sleep infinity
