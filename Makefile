# SPDX-License-Identifier: Apache-2.0
# Holdfast. `make run` starts it, `make check` proves it; README.md says more.
#
#	B=DIR		where to build (default build)
#	CC=, CFLAGS=	as ever; SAN=address,undefined or SAN=thread for a sanitizer build
B ?= build
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
PKGS := liburing liburcu-qsbr libisal yaml-0.1 jansson libcrypto libsystemd

PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -laio -lpthread
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
	-Wno-unused-parameter -Wno-missing-field-initializers -Werror
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DHOLDFAST_VERSION='"$(VERSION)"' -I. $(WARN) $(CFLAGS) \
	-fno-omit-frame-pointer $(PKG_CFLAGS) $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
ALL_LDFLAGS := $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN))

PURE := $(sort $(wildcard scsi/*.c pr/*.c witness/*.c target/iscsi/*.c))
MAINS := target/main.c target/cli.c
SHELL_SRC := $(sort $(filter-out $(MAINS),$(wildcard target/*.c backends/*.c)))
DOCTOR := $(sort $(wildcard target/doctor/*.c))
UNIT := $(sort $(wildcard tests/unit/test_*.c))
FUZZ := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH := $(filter-out tests/bench/copies.c,$(sort $(wildcard tests/bench/*.c)))
TOOLS := $(sort $(wildcard tests/tools/*.c))
DAEMON_TESTS := $(sort $(wildcard tests/daemon/test_*.c))
DAEMON_LIB := $(filter-out $(DAEMON_TESTS),$(sort $(wildcard tests/daemon/*.c)))
PR_LIB := tests/pr/prcmd.c
PR_TESTS := $(filter-out $(PR_LIB),$(sort $(wildcard tests/pr/*.c)))

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
UNIT_BIN := $(patsubst %.c,$(B)/%,$(UNIT))
FUZZ_BIN := $(patsubst %.c,$(B)/%,$(FUZZ))
BENCH_BIN := $(patsubst %.c,$(B)/%,$(BENCH))
TOOLS_BIN := $(patsubst %.c,$(B)/%,$(TOOLS))
DAEMON_BIN := $(patsubst %.c,$(B)/%,$(DAEMON_TESTS))
PR_BIN := $(patsubst %.c,$(B)/%,$(PR_TESTS))
# Daemons with a bug planted (target/mutate.h) that tests/pr must find.
PR_MUTANTS := $(addprefix $(B)/tests/pr/holdfastd-,NO_DRAIN GATE_ONCE EARLY_ANSWER NO_ORPHANS NO_PERSIST)
PR_MUTATED := target/lu.c target/port.c target/tmf.c

all: $(B)/holdfastd $(B)/holdfast $(B)/holdfast-doctor

$(B)/libpure.a: $(call obj,$(PURE))
	@rm -f $@; ar rcs $@ $^
$(B)/libshell.a: $(call obj,$(SHELL_SRC))
	@rm -f $@; ar rcs $@ $^
LIBS = $(B)/libshell.a $(B)/libpure.a

$(B)/holdfastd: $(B)/obj/target/main.o $(LIBS)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/holdfast: $(B)/obj/target/cli.o $(LIBS)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# Apart, so that nothing else needs an initiator's library.
$(B)/holdfast-doctor: $(call obj,$(DOCTOR))
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -liscsi -ljansson

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(UNIT_BIN): $(B)/%: $(B)/obj/%.o $(LIBS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -lcunit $(PKG_LIBS) -lm
$(BENCH_BIN): $(B)/%: $(B)/obj/%.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm
$(B)/tests/bench/copies.so: tests/bench/copies.c
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) -fPIC -fno-builtin -shared -o $@ $< -ldl
$(TOOLS_BIN): $(B)/%: $(B)/obj/%.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -liscsi $(PKG_LIBS)
$(DAEMON_BIN): $(B)/%: $(B)/obj/%.o $(call obj,$(DAEMON_LIB))
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -lcunit -lisal

$(PR_BIN): $(B)/%: $(B)/obj/%.o $(call obj,$(DAEMON_LIB) $(PR_LIB))
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -lcunit -lisal -ljansson
$(PR_MUTANTS): $(B)/tests/pr/holdfastd-%: $(PR_MUTATED) target/mutate.h $(B)/obj/target/main.o $(LIBS)
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -DMUTATE=MUT_$* -o $@ $(filter-out %.h,$^) $(PKG_LIBS)

# libFuzzer is clang's. Its object files are apart, so that one build directory serves both compilers.
$(FUZZ_BIN): $(B)/%: %.c $(LIBS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@clang $(ALL_CFLAGS) -fsanitize=fuzzer $(ALL_LDFLAGS) -o $@ $< $(LIBS) $(PKG_LIBS) -lm

# ---- the simulation ----------------------------------------------------------------------------------
# The daemon's own object files, but for what touches the kernel. tests/sim/README.md.
SIM_OUT := $(addprefix target/,reactor mailbox timers workers driver_epoll driver_uring rio aio watchdog log log_limit net \
	stop rcall journal journal_read history presence pr_doc) backends/memory \
	backends/blockdev
SIM_IN := $(filter-out $(SIM_OUT:=.c) target/cli% target/control% target/query% backends/file%,$(SHELL_SRC))
SIM_HERE := $(filter-out tests/sim/first.c tests/sim/last.c,$(sort $(wildcard tests/sim/*.c)))
SIM_RENAME := --redefine-sym backend_submit=sim_backend_submit --redefine-sym lu_change=sim_lu_change

$(B)/obj-mutants/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $< (mutants)"
	@$(CC) $(ALL_CFLAGS) -DMUTATE=mutation_on -MMD -MP -c -o $@ $<

# Names are exchanged in two steps: of two functions in target/ only, then of the C library's.
define sim-daemon
	@mkdir -p $(@D)
	@ld -r -o $@.target $(filter $(1)/target/%,$^)
	@objcopy $(SIM_RENAME) $@.target
	@ld -r -o $@ $(B)/obj/tests/sim/first.o $@.target $(filter $(B)/obj/backends/%,$^) \
		$(B)/obj/tests/sim/last.o
	@objcopy --redefine-syms=tests/sim/symbols $@
endef
$(B)/tests/sim/daemon.o: $(call obj,$(SIM_IN) tests/sim/first.c tests/sim/last.c) tests/sim/symbols
	$(call sim-daemon,$(B)/obj)
$(B)/tests/sim/mutants.o: $(patsubst %.c,$(B)/obj-mutants/%.o,$(filter target/%,$(SIM_IN))) \
	$(call obj,$(filter backends/%,$(SIM_IN)) tests/sim/first.c tests/sim/last.c) tests/sim/symbols
	$(call sim-daemon,$(B)/obj-mutants)
SIM_BIN := $(B)/tests/sim/sim $(B)/tests/sim/sim-mutants
$(B)/tests/sim/sim: $(B)/tests/sim/daemon.o
$(B)/tests/sim/sim-mutants: $(B)/tests/sim/mutants.o
$(SIM_BIN): $(call obj,$(SIM_HERE)) $(B)/obj/target/timers.o $(B)/libpure.a
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(B)/libpure.a $(PKG_LIBS)

sims: $(SIM_BIN)
# make sim SEEDS=n: so many worlds
SEEDS ?= 1000
sim: $(B)/tests/sim/sim
	@$(B)/tests/sim/sim --seeds $(SEEDS) --stats

units: $(UNIT_BIN)
fuzzers: $(FUZZ_BIN)
bench-tools: $(BENCH_BIN) $(B)/tests/bench/copies.so
tools: $(TOOLS_BIN)
daemon-tests: $(DAEMON_BIN)
pr-tests: $(PR_BIN)
pr-mutants: $(PR_MUTANTS)

# ---- two commands on a fresh machine ----------------------------------------------------------------
deps:
	@.ci/deps build test

# A second make, because pkg-config answers differently once the packages are there.
run:
	@.ci/deps build
	@$(MAKE) --no-print-directory all
	@mkdir -p run/data
	@cat conf/quickstart.txt
	@exec $(B)/holdfastd --config conf/quickstart.yaml

check: deps
	@$(MAKE) --no-print-directory check-build
	@B=$(B) tests/check.sh $(PART)

check-build: all sims units bench-tools tools daemon-tests pr-tests pr-mutants
	@$(MAKE) --no-print-directory CC=clang SAN=address,undefined B=$(B)-asan all units fuzzers tools daemon-tests pr-tests \
		$(B)-asan/tests/sim/sim
	@$(MAKE) --no-print-directory SAN=thread B=$(B)-tsan all units tools daemon-tests pr-tests

asan:
	@$(MAKE) --no-print-directory CC=clang SAN=address,undefined B=$(B)-asan all units fuzzers tools daemon-tests pr-tests \
		$(B)-asan/tests/sim/sim
	@B=$(B) tests/check.sh asan fuzz daemon-asan pr-asan
tsan:
	@$(MAKE) --no-print-directory SAN=thread B=$(B)-tsan all units tools daemon-tests pr-tests
	@B=$(B) tests/check.sh tsan race daemon-tsan pr-tsan

# make fuzz T=60: each fuzzer for so many seconds
T ?= 60
fuzz:
	@$(MAKE) --no-print-directory CC=clang SAN=address,undefined B=$(B)-asan fuzzers
	@T=$(T) tests/fuzz/run.sh $(B)-asan

# Line coverage of the pure core by the unit tests.
cover:
	@$(MAKE) --no-print-directory CC=gcc CFLAGS='-O0 -g --coverage' B=$(B)-cover units
	@tests/unit/run.sh $(B)-cover | tail -n 1
	@tests/cover.sh $(B)-cover

bench: all bench-tools
	@B=$(B) tests/bench/run.sh
bench-witness: all bench-tools
	@B=$(B) tests/bench/run.sh witness

cluster: all tools bench-tools pr-tests pr-mutants
	@HF_BUILD=$(B) tests/cluster/run.sh

# ---- installation ------------------------------------------------------------------------------------
MAN := $(patsubst docs/%.scd,$(B)/man/%,$(wildcard docs/*.scd))
$(B)/man/%: docs/%.scd
	@mkdir -p $(@D)
	@scdoc < $< > $@
man: $(MAN)

install: all man
	install -D -m 755 $(B)/holdfastd $(DESTDIR)$(PREFIX)/sbin/holdfastd
	install -D -m 755 $(B)/holdfast $(DESTDIR)$(PREFIX)/bin/holdfast
	install -D -m 755 $(B)/holdfast-doctor $(DESTDIR)$(PREFIX)/bin/holdfast-doctor
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 $(filter %.5,$(MAN))
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 $(filter %.8,$(MAN))
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/holdfast conf/holdfast.yaml README.md CHANGES.md LICENSE
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/holdfast/examples $(wildcard conf/examples/*.yaml)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/holdfast/docs $(wildcard docs/*.md)
	mkdir -p $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|g' conf/holdfast.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/holdfast.service

clean:
	rm -rf $(B) $(B)-asan $(B)-tsan $(B)-cover

.PHONY: all sim sims units fuzzers bench-tools tools daemon-tests pr-tests pr-mutants deps run check check-build asan tsan fuzz cover bench bench-witness cluster man install clean
.SECONDARY:
-include $(shell test -d $(B)/obj && find $(B)/obj $(wildcard $(B)/obj-mutants) -name '*.d')
