# The checks behind `make check`: each leaves a stamp in out/check/, so that only what changed runs
# again. Everything here needs Debian 12's own packages and no root.

CHECK := out/check
CLANG := $(CCACHE) clang
ASAN_FLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
export ASAN_OPTIONS := handle_segv=2

$(eval $(call variant,check/asan,$(CLANG) $(ASAN_FLAGS),ar))
# for `make fuzz`: the same, watched by libFuzzer in all of our code and not only in the target
COVERAGE := -fsanitize=fuzzer-no-link
$(eval $(call variant,check/fuzz,$(CLANG) $(ASAN_FLAGS) $(COVERAGE),ar))
$(eval $(call variant,check/gcc,$(CCACHE) gcc -O2 -D_FORTIFY_SOURCE=2,ar))

UNIT_TESTS := $(patsubst %.c,$(CHECK)/asan/%,$(call in_folders,*_test.c))
FUZZERS := $(patsubst %.c,$(CHECK)/asan/%,$(call in_folders,*_fuzz.c))
C_FILES := $(call in_folders,*.c)
PY_TEST_FOLDERS := $(filter-out qemu-tests,$(patsubst %/,%,$(sort $(dir $(wildcard \
	*/test_*.py */*/test_*.py)))))

# A test may name linker flags in a line /* LDFLAGS: … */
own_ldflags = $(shell sed -n 's|^/\* LDFLAGS: \(.*\) \*/$$|\1|p' $1)

# $(call test_program,NAME,VARIANT,FLAGS,LIBRARIES)
define test_program
$(CHECK)/$2/$1: $(CHECK)/$2/$1.o $(call archives_of,check/$2,$(patsubst %/,%,$(dir $1)))
	$$(Q)$(CLANG) $(ASAN_FLAGS) $3 $$(call own_ldflags,$1.c) -o $$@ $$^ \
		$(call ldlibs_of,$(patsubst %/,%,$(dir $1))) $4
endef
$(foreach t,$(basename $(call in_folders,*_test.c)),$(eval $(call test_program,$t,asan,,-lcmocka)))
$(foreach t,$(basename $(call in_folders,*_fuzz.c)),$(foreach v,asan fuzz,\
	$(eval $(call test_program,$t,$v,-fsanitize=fuzzer))))

# init and sampan for init's tests, which run them as a child subreaper
$(eval $(call program,check/asan,$(CHECK)/asan/bin/init,init,$(CLANG) $(ASAN_FLAGS)))
$(eval $(call program,check/asan,$(CHECK)/asan/bin/sampan,runtime/cli,$(CLANG) $(ASAN_FLAGS),$(call ldlibs_of,runtime/cli)))
$(CHECK)/python/init.ok: $(CHECK)/asan/bin/init $(CHECK)/asan/bin/sampan

# the engine for its own tests, with that init and the runtime that was built
$(eval $(call program,check/asan,$(CHECK)/asan/bin/sampand,runtime/api,$(CLANG) $(ASAN_FLAGS),$(call ldlibs_of,runtime/api)))
$(CHECK)/python/runtime/api.ok $(CHECK)/python/runtime/cli.ok: $(addprefix $(CHECK)/asan/bin/,init sampan sampand) \
	$(wildcard out/$(HOST_ARCH)/bin/sampan-oci)

# Runs one check, prints one line, and its output only when it fails.
run_check = $(Q)mkdir -p $(@D); build/quiet.sh '$1' $@.log $2 && touch $@

$(CHECK)/asan/%_test.ok: $(CHECK)/asan/%_test
	$(call run_check,test   $*,$<)

$(CHECK)/asan/%_fuzz.ok: $(CHECK)/asan/%_fuzz $(wildcard $(call in_folders,*_fuzz_inputs/*))
	$(call run_check,inputs $*,$< -runs=0 -timeout=10 -artifact_prefix=$(<D)/ $*_fuzz_inputs)

$(CHECK)/format.ok: $(C_FILES) $(call in_folders,*.h) .clang-format
	$(call run_check,format,clang-format --dry-run -Werror $(filter %.c %.h,$^))

$(CHECK)/tidy/%.ok: %.c .clang-tidy build/tidy.sh $(call in_folders,*.h) | $(YYJSON)/yyjson.h
	$(call run_check,tidy   $<,build/tidy.sh $< $(CFLAGS_BASE) -isystem $(YYJSON))

# PID 1 must never allocate: not by itself, and not inside libc behind its back.
ALLOCATES := malloc calloc realloc reallocarray aligned_alloc posix_memalign strdup strndup \
	asprintf vasprintf fopen fdopen opendir fdopendir scandir popen getline getdelim \
	printf fprintf vprintf vfprintf dprintf vdprintf puts fputs fwrite setenv putenv qsort
INIT_OBJECTS := $(patsubst %.c,$(CHECK)/gcc/%.o,$(filter-out %_test.c %_fuzz.c,$(wildcard init/*.c)) \
	$(call sources_of,lib/base))
$(CHECK)/no-allocation.ok: $(INIT_OBJECTS) build/check-symbols.sh
	$(call run_check,init allocates nothing,build/check-symbols.sh '$(ALLOCATES)' $(INIT_OBJECTS))

$(CHECK)/gcc.ok: $(patsubst %.c,$(CHECK)/gcc/%.o,$(filter-out %_test.c %_fuzz.c,$(C_FILES)))
	$(call run_check,gcc -Werror,true)

.SECONDEXPANSION:
$(CHECK)/python/%.ok: $$(wildcard $$*/*) $(wildcard build/*) rootfs/sources.lock
	$(call run_check,pytest $*,/usr/bin/python3 -m pytest -q -p no:cacheprovider $*)

# these drive what was built
$(CHECK)/python/runtime/image.ok: $(PROGRAMS_host)
$(CHECK)/python/runtime/oci.ok: $(wildcard $(OUT)/bin/sampan-oci runtime/oci/escapes/* runtime/oci/escapes/programs/*)

# Two builds in different places give the same initramfs. Needs the toolchain, so it waits for the
# first build.
$(CHECK)/reproducible.ok: build/check-reproducible.sh $(wildcard $(OUT)/initramfs.cpio.zst)
	$(call run_check,two builds make the same initramfs,$<)
REPRODUCIBLE := $(if $(wildcard $(OUT)/initramfs.cpio.zst),$(CHECK)/reproducible.ok)

.PHONY: check-shell check-kernel-config fuzz FORCE
check-shell:
	$(Q)build/quiet.sh shellcheck $(CHECK)/shellcheck.log build/check-shell.sh

# The built kernel's config, when there is one: no requested symbol lost, score not fallen.
check-kernel-config:
	$(Q)build/sources.py fetch kernel-hardening-checker
	$(Q)for config in $(wildcard out/*/config); do \
		[ ! -x kernel-config/check.sh ] || build/quiet.sh "kernel config $$config" \
			$(CHECK)/kernel-config.log kernel-config/check.sh $$(basename $$(dirname $$config)) $$config \
			|| exit 1; done

.PHONY: run-checks
run-checks: $(UNIT_TESTS:=.ok) $(FUZZERS:=.ok) $(CHECK)/gcc.ok $(CHECK)/no-allocation.ok \
	$(CHECK)/format.ok $(patsubst %.c,$(CHECK)/tidy/%.ok,$(C_FILES)) \
	$(patsubst %,$(CHECK)/python/%.ok,$(PY_TEST_FOLDERS)) $(REPRODUCIBLE) check-shell check-kernel-config

# make fuzz FUZZ=runtime/image/reference SECONDS=60: look for new inputs, starting from the stored ones
# and from what earlier searches found in out/check/fuzz/NAME_found
SECONDS ?= 60
FOUND := $(CHECK)/fuzz/$(FUZZ)_found
fuzz: $(CHECK)/fuzz/$(FUZZ)_fuzz
	$(Q)mkdir -p $(FOUND)
	$< -max_total_time=$(SECONDS) -max_len=65536 -timeout=10 -artifact_prefix=$(FUZZ)_fuzz_inputs/ \
		$(FOUND) $(FUZZ)_fuzz_inputs
