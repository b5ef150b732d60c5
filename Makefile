# Sampan's front door. `make help` lists the targets; how the build works: docs/build.md.
#
#   ARCH=x86_64|arm64   the machine that the result is for (default: this one's)
#   APP=FILE            the OCI or docker archive that `make run` puts into the machine
#   V=1                 show the commands
#   LOCKED=1            refuse sources other than the ones in rootfs/sources.lock

MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
SHELL := /bin/bash
# locale and umask must not show in what is built
export LC_ALL := C.UTF-8
export V LOCKED

HOST_ARCH := $(patsubst aarch64,arm64,$(shell uname -m))
ARCH ?= $(HOST_ARCH)
ifeq ($(filter x86_64 arm64,$(ARCH)),)
$(error ARCH is x86_64 or arm64, not $(ARCH))
endif
export ARCH
OUT := out/$(ARCH)
Q := $(if $(V),,@)

include build/compile.mk
include build/programs.mk
include build/check.mk

.PHONY: check
check: $(CHECKS) ## host unit tests with ASan+UBSan, stored fuzz inputs, linters
