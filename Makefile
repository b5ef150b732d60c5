# Sampan's front door. `make help` lists the targets; how the build works: docs/build.md.
#
#   ARCH=x86_64|arm64   the machine that the result is for (default: this one's)
#   APP=FILE            OCI layout or docker archive that goes into the machine (default: examples/web)
#   V=1                 show the commands
#   LOCKED=1            refuse sources other than the ones in rootfs/sources.lock

MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
SHELL := /bin/bash

HOST_ARCH := $(patsubst aarch64,arm64,$(shell uname -m))
ARCH ?= $(HOST_ARCH)
ifeq ($(filter x86_64 arm64,$(ARCH)),)
$(error ARCH is x86_64 or arm64, not $(ARCH))
endif
OUT := out/$(ARCH)
APP ?= $(OUT)/web.tar
Q := $(if $(V),,@)

# Neither the language nor the moment shows in what is built.
export LC_ALL := C.UTF-8
export SOURCE_DATE_EPOCH := $(shell sed -n 's/^\# Date: //p' rootfs/sources.lock)
export ARCH V LOCKED

include build/compile.mk
include build/programs.mk
include build/check.mk

.PHONY: all run image test bench bench-engine bench-oci check fetch lock clean help host-packages clients weaken check-failures
PACKAGES_all := build
PACKAGES_run := build run
PACKAGES_image := build image
PACKAGES_check := build check
PACKAGES_test := build check image test
PACKAGES_weaken := build check
PACKAGES_bench := build image bench
PACKAGES_bench-oci := build bench
PACKAGES_bench-engine := build check
# $(call install,TARGET): the Debian packages that the target needs
install = $(Q)build/host-packages.sh $(PACKAGES_$1)

all: ## kernel, initramfs and application for ARCH, in out/<arch>/ (the default)
	$(call install,all)
	$(Q)build/steps.py kernel initramfs app sbom
	@ls -lL $(OUT)/kernel $(OUT)/initramfs.cpio.zst | awk '{ printf "%7.2f MB  %s\n", $$5 / 1e6, $$NF }'

run: ## boot it in QEMU with APP in it, the console on this terminal; prints the container's URL
	$(call install,run)
	$(Q)build/steps.py kernel initramfs app sbom
	$(Q)board/run.sh $(RUN_FLAGS)

image: ## out/<arch>/disk.raw, a bootable disk, and sampan.efi, the system as one EFI file
	$(call install,image)
	$(Q)build/steps.py image

test: ## make check, then boot what was built, on both architectures
	$(Q)ARCH=arm64 build/host-packages.sh $(PACKAGES_test)
	$(Q)ARCH=x86_64 build/host-packages.sh $(PACKAGES_test)
	$(Q)ARCH=x86_64 build/steps.py image
	$(Q)ARCH=arm64 build/steps.py image
	$(Q)$(MAKE) ARCH=x86_64 check
	$(Q)$$([ $$(id -u) = 0 ] || echo fakeroot) /usr/bin/python3 -m pytest -q -n $$(nproc) -p no:cacheprovider runtime/image
	$(Q)cd qemu-tests && /usr/bin/python3 -m pytest -q -n $$(nproc) $(TEST_FLAGS)

bench: ## print sizes, boot times beside a floor, and memory
	$(call install,bench)
	$(Q)build/steps.py image
	$(Q)qemu-tests/bench.py $(BENCH_FLAGS)

bench-engine: ## print what a pull costs beside parallel curl, gunzip and tar, on this machine, as root
	$(call install,bench-engine)
	$(Q)build/steps.py programs
	$(Q)runtime/api/bench_pull.py --json out/bench-engine.json $(BENCH_FLAGS)

bench-oci: ## print what sampan-oci costs beside a floor, crun and runc, in a machine with a Debian userland
	$(call install,bench-oci)
	$(Q)ARCH=x86_64 build/steps.py kernel initramfs host-tools
	$(Q)qemu-tests/bench_oci.py $(BENCH_FLAGS)

clients: ## compare runtimes below podman and docker, in the guest, into docs/runtime-clients.md (hours without KVM)
	$(call install,test)
	$(Q)build/steps.py kernel initramfs
	$(Q)qemu-tests/clients.py $(CLIENTS_FLAGS)

check: ## unit tests with ASan and UBSan, stored fuzz inputs, linters, kernel config
	$(call install,check)
	$(Q)$(MAKE) -k -j$$(nproc) --output-sync=line run-checks

weaken: ## take the runtime's defences out one by one and see each attack of its escape tests work; as root
	$(call install,weaken)
	$(Q)runtime/oci/escapes/weaken.py $(WEAKEN)

check-failures: ## let every system call of the runtime fail in every way, kill and hold each command everywhere; as root
	$(call install,check)
	$(Q)SAMPAN_FAILURES=all /usr/bin/python3 -m pytest -q -p no:cacheprovider $(wildcard runtime/oci/test_failure_*.py)

fetch: ## load all third-party sources into the cache; after that the build works offline
	$(call install,all)
	$(Q)build/sources.py fetch

lock: ## pin the newest versions of the sources that the Debian archive has
	$(call install,all)
	$(Q)build/sources.py lock

host-packages: ## install the Debian packages that all targets need
	$(call install,test)

clean: ## remove out/; the cache (~/.cache/sampan) stays
	$(Q)rm -rf out

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22
	@echo
	@sed -n 's/^#   \([A-Z].*\)/  \1/p' Makefile

# The parts that build/steps.py calls, in the right order.

PKG := $(OUT)/pkg
PACKED := busybox e2fsprogs dropbear ca-certificates

$(OUT)/initramfs.cpio.zst: rootfs/initramfs.list rootfs/pack.py $(shell find rootfs/skeleton ! -type l) \
		$(PROGRAMS_$(ARCH)) $(PACKED:%=$(OUT)/keys/%)
	$(Q)rootfs/pack.py $< $@ 'OUT=$(OUT)'

$(OUT)/sbom.spdx.json: rootfs/sources.lock build/sbom.py $(OUT)/keys/kernel
	$(Q)build/sbom.py $(ARCH) $@

# When APP names another file than last time, the application is packed again.
$(OUT)/app.source: FORCE
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = '$(APP)' ] || echo '$(APP)' >$@

$(OUT)/app.cpio: $(APP) $(OUT)/app.source runtime/image/pack-app rootfs/pack.py out/host/sampan-image \
		$(if $(wildcard $(APP)/.),FORCE)
	$(Q)runtime/image/pack-app --arch $(ARCH) $(APP) $@

$(OUT)/web.tar: $(wildcard examples/web/*) $(OUT)/keys/busybox-web
	$(Q)examples/web/build.py $@ --busybox $(PKG)/busybox-web/bin/busybox \
		--arch $(patsubst x86_64,amd64,$(ARCH))

$(OUT)/disk.raw: $(wildcard images/*) $(OUT)/initramfs.cpio.zst $(OUT)/app.cpio \
		$(OUT)/keys/kernel $(OUT)/keys/systemd-boot $(if $(filter x86_64,$(ARCH)),$(OUT)/keys/grub)
	$(Q)images/build.py $(ARCH) $(OUT) --systemd-boot $(PKG)/systemd-boot \
		$(if $(filter x86_64,$(ARCH)),--grub $(PKG)/grub)
