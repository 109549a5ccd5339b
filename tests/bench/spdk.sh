# SPDX-License-Identifier: Apache-2.0
# Sourced by run.sh: SPDK's iscsi_tgt, the one that $BENCH_SPDK names (README.md). All it is to do is in a configuration file: the same
# calls that its rpc.py makes, and the portal listens only when the target is there.

# Memory beside the LUN's, in MiB: its pools. 2,048 buffers of 64 KiB each for immediate data and Data-Out are half of it.
spdk_pools=1280

# Its MaxRecvDataSegmentLength is fixed at 64 KiB and InitialR2T at Yes, so FirstBurstLength can pay up to there; MaxBurstLength is 1 MiB.
spdk_up() {		# spdk_up PORT
	local dir=$work/spdk mib=$(($(megabytes $size) + spdk_pools)) free memory=--no-huge
	mkdir -p "$dir"
	cat >"$dir/conf.json" <<-END
		{"subsystems": [
		 {"subsystem": "bdev", "config": [
		  {"method": "bdev_malloc_create", "params":
		   {"name": "a", "block_size": 512, "num_blocks": $(($(megabytes $size) * 2048))}}]},
		 {"subsystem": "iscsi", "config": [
		  {"method": "iscsi_set_options", "params": {"node_base": "${iqn%:*}", "max_sessions": 1024, "max_queue_depth": 128,
		   "first_burst_length": 65536, "pdu_pool_size": 32768, "immediate_data_pool_size": 2048, "data_out_pool_size": 2048}},
		  {"method": "iscsi_create_portal_group", "params":
		   {"tag": 1, "wait": true, "portals": [{"host": "127.0.0.1", "port": "$1"}]}},
		  {"method": "iscsi_create_initiator_group", "params":
		   {"tag": 1, "initiators": ["ANY"], "netmasks": ["127.0.0.0/8"]}},
		  {"method": "iscsi_create_target_node", "params": {"name": "$iqn", "alias_name": "bench", "disable_chap": true,
		   "queue_depth": 128, "pg_ig_maps": [{"pg_tag": 1, "ig_tag": 1}], "luns": [{"bdev_name": "a", "lun_id": 0}]}},
		  {"method": "iscsi_start_portal_group", "params": {"tag": 1}}]}]}
	END
	# Huge pages are what it is made for, and what Holdfast's and the floor's memory asks of the kernel too.
	free=$(awk '/^HugePages_Free/ { n = $2 } /^Hugepagesize/ { print int(n * $2 / 1024) }' /proc/meminfo)
	if [ "${free:-0}" -ge $mib ]; then
		memory=--env-context=--in-memory	# without a mounted hugetlbfs
	else
		echo "bench: spdk has ordinary pages: ${free:-0} MiB of huge ones are free, $mib would be needed (vm.nr_hugepages)"
	fi
	RUNTIME_DIRECTORY=$dir $pin_target "${BENCH_SPDK:-iscsi_tgt}" -m 0x1 -s $mib $memory --no-pci --disable-cpumask-locks --num-trace-entries 0 \
		-r "$dir/rpc.sock" -c "$dir/conf.json" >"$dir/log" 2>&1 &
	p=$!
	pids="$pids $p"
	until_port $1 $p || return 1
	names="$names spdk"
	pid[spdk]=$p
	args[spdk]="-p $1 -t $iqn -l 0"
}

# It polls: outside its turns it is stopped, or it would have half of the others' core.
spdk_turn() {		# spdk_turn TARGET CONT|STOP
	[ "$1" != spdk ] || kill -$2 ${pid[spdk]}
}
