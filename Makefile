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
	-Wno-unused-parameter -Werror
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DHOLDFAST_VERSION='"$(VERSION)"' -I. $(WARN) $(CFLAGS) \
	-fno-omit-frame-pointer $(PKG_CFLAGS) $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
ALL_LDFLAGS := $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN))

PURE := $(sort $(wildcard scsi/*.c pr/*.c witness/*.c target/iscsi/*.c))
MAINS := target/main.c target/cli.c
SHELL_SRC := $(sort $(filter-out $(MAINS),$(wildcard target/*.c backends/*.c)))
UNIT := $(sort $(wildcard tests/unit/test_*.c))
FUZZ := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH := $(sort $(wildcard tests/bench/*.c))
TOOLS := $(sort $(wildcard tests/tools/*.c))

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
UNIT_BIN := $(patsubst %.c,$(B)/%,$(UNIT))
FUZZ_BIN := $(patsubst %.c,$(B)/%,$(FUZZ))
BENCH_BIN := $(patsubst %.c,$(B)/%,$(BENCH))
TOOLS_BIN := $(patsubst %.c,$(B)/%,$(TOOLS))

all: $(B)/holdfastd $(B)/holdfast

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
$(TOOLS_BIN): $(B)/%: $(B)/obj/%.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ -liscsi $(PKG_LIBS)

units: $(UNIT_BIN)
bench-tools: $(BENCH_BIN)
tools: $(TOOLS_BIN)

clean:
	rm -rf $(B)

.PHONY: all units bench-tools tools clean
.SECONDARY:
-include $(shell test -d $(B)/obj && find $(B)/obj -name '*.d')
