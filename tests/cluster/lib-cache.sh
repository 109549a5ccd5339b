# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by lib.sh. What is made once and cached.

# hf_tools_make: the C programs here, by the hash of their sources and of this.
hf_tools_make() {
	local tool hash flags=(-std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wno-unused-parameter)
	hash=$( (cat "$HF_DIR"/*.[ch]; declare -f hf_tools_make) | sha256sum | cut -c1-16)
	HF_TOOLS=$HF_CACHE/tools-$hash
	[ -d "$HF_TOOLS" ] && return
	mkdir -p "$HF_RUN/tools"
	for tool in stamp-dev fenced pause clusdisk; do
		gcc "${flags[@]}" -static -o "$HF_RUN/tools/$tool" \
			"$HF_DIR/$tool.c" "$HF_DIR/stamp.c" -lpthread
	done
	gcc "${flags[@]}" -o "$HF_RUN/tools/stamp-iscsi" \
		"$HF_DIR/stamp-iscsi.c" "$HF_DIR/stamp.c" -liscsi
	gcc "${flags[@]}" -shared -fPIC -o "$HF_RUN/tools/uml-shim.so" "$HF_DIR/uml-shim.c"
	hf_cache_put "$HF_RUN/tools" "$HF_TOOLS"
}

# hf_cache_put FROM TO: all or nothing; the first of two wins.
hf_cache_put() {
	mkdir -p "$HF_CACHE"
	rm -rf "$HF_CACHE/.new.$$"
	cp -a "$1" "$HF_CACHE/.new.$$"
	mv -T "$HF_CACHE/.new.$$" "$2" 2>/dev/null || rm -rf "$HF_CACHE/.new.$$"
}

# hf_root_make: sets HF_ROOT, the root of the guests, and HF_UML, their kernel. One run makes them,
# others wait.
hf_root_make() {
	local packages hash sources suite
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	packages=$(sed 's/#.*//' "$HF_DIR/guest-packages" | xargs | tr ' ' ,)
	hash=$( (echo "$suite $packages"; declare -f hf_root_build) | sha256sum | cut -c1-16)
	HF_ROOT=$HF_CACHE/root-$hash
	HF_UML=$HF_ROOT/usr/bin/linux.uml
	[ -d "$HF_ROOT" ] && return
	sources=$(grep -lsw "$suite" /etc/apt/sources.list.d/*debian.sources /etc/apt/sources.list |
		head -n 1) || :
	[ -n "$sources" ] || skip "no Debian package sources for the guests"
	mkdir -p "$HF_CACHE"
	(
		flock 9
		[ -d "$HF_ROOT" ] || hf_root_build "$HF_ROOT" "$suite" "$packages" "$sources"
	) 9>"$HF_CACHE/lock"
}

# hf_root_build DIR SUITE PACKAGES SOURCES
hf_root_build() {
	local new=$1.new log=$1.log thin
	say "making the guests' root (once): $1"
	rm -rf "$new" "$new.uml"
	mkdir -p "$new.uml"
	chmod 777 "$new.uml"	# for apt's own user
	(
		cd "$new.uml"
		apt-get -q download user-mode-linux ||
			{ apt-get -q update && apt-get -q download user-mode-linux; }
		dpkg -x ./*.deb .
	) >"$log" 2>&1 || { tail -n 20 "$log"; skip "no package user-mode-linux to be had"; }
	thin=(--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*'
		--dpkgopt='path-exclude=/usr/share/doc/*' --aptopt='Acquire::Languages "none"'
		--aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io)
	timeout 900 mmdebstrap --variant=minbase --mode=root --include="$3" "${thin[@]}" \
		"$2" "$new" "$4" >>"$log" 2>&1 || { tail -n 20 "$log"; skip "mmdebstrap made no root"; }
	cp "$new.uml/usr/bin/linux.uml" "$new/usr/bin/"
	mkdir -p "$new/lib/modules"
	cp -a "$new.uml/usr/lib/uml/modules/." "$new/lib/modules/"
	cat >"$new/hf-boot" <<-'EOF'
		#!/bin/sh
		mount -t proc proc /proc
		mount -t hostfs -o "$HF_SHARE" none /mnt
		exec /bin/bash /mnt/guest-init
	EOF
	chmod +x "$new/hf-boot"
	rm -rf "$new.uml"
	mv -T "$new" "$1"
}
