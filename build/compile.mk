# How C becomes objects, folder archives and test programs. There are no file lists: a folder's
# archive is all of its *.c except main.c, *_test.c and *_fuzz.c.

CFLAGS_WARN := -Wall -Wextra -Wformat=2 -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wundef -Wvla -Wwrite-strings -Wcast-qual -Wnull-dereference \
	-Wimplicit-fallthrough -Werror
CFLAGS_BASE := -std=gnu17 -fno-common -fstack-protector-strong -D_GNU_SOURCE -I. $(CFLAGS_WARN)
CFLAGS_PRODUCT := -O2 -g0 -D_FORTIFY_SOURCE=2 -fstack-clash-protection \
	-ffunction-sections -fdata-sections
LDFLAGS_PRODUCT := -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack

# What was compiled before, in this tree or another, is not compiled again.
export CCACHE_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sampan/ccache
export CCACHE_NOHASHDIR := 1
CCACHE := $(if $(shell command -v ccache),ccache)

# Who may use whom: lib/base ← lib/util ← runtime/*; init stops at lib/base. Inside the engine:
# runtime/image ← runtime/registry ← runtime/store ← runtime/engine ← runtime/api.
FOLDERS := $(patsubst %/,%,$(sort $(dir $(wildcard lib/*/*.c init/*.c init/*/*.c runtime/*/*.c))))
below_api := runtime/engine
below_engine := runtime/store
below_store := runtime/registry
below_registry := runtime/image
libs_of = $(if $(filter lib/base,$1),,$(if $(filter init init/% lib/util,$1),lib/base,\
	$(call engine_parts,$(1:runtime/%=%)) lib/util lib/base))
engine_parts = $(if $(below_$1),$(below_$1) $(call engine_parts,$(below_$1:runtime/%=%)))

sources_of = $(filter-out %/main.c %_test.c %_fuzz.c,$(wildcard $1/*.c))
in_folders = $(sort $(foreach f,$(FOLDERS),$(wildcard $f/$1)))

# Third-party libraries by folder; yyjson is an object of ours, because Debian 12 has no package of it.
uses_yyjson = $(filter lib/util runtime/%,$1)
ldlibs_of = $(if $(filter runtime/oci,$1),-lseccomp) $(if $(filter runtime/api runtime/cli,$1),-lhttp_parser) \
	$(if $(filter runtime/api,$1),-lmbedtls -lmbedx509) \
	$(if $(filter runtime/image,$1 $(libs_of)),-larchive -lmbedcrypto) \
	$(if $(filter runtime/registry,$1 $(libs_of)),-lcurl) \
	$(if $(filter runtime/store,$1 $(libs_of)),-lsqlite3 -lpthread)

# The archives that the programs and tests of folder $2 are linked with, in variant $1. For fuzzing it
# is our own code that is watched; yyjson would take minutes to compile that way.
archives_of = $(foreach f,$2 $(call libs_of,$2),out/$1/$f.a) \
	$(if $(call uses_yyjson,$2),out/$(patsubst check/fuzz,check/asan,$1)/yyjson$(call yyjson_kind,$1,$2).o)

# The console's command reads and writes little, and is to be small: yyjson without what makes it fast.
# (Its fast conversion of fractions alone is 70 kB.)
yyjson_kind = $(if $(and $(filter %/obj,$1),$(filter runtime/cli,$2)),-small)
YYJSON_SMALL := -Os -fno-asynchronous-unwind-tables -DYYJSON_DISABLE_FAST_FP_CONV=1 -DYYJSON_DISABLE_NON_STANDARD=1

# yyjson has no package in Debian 12; two files need no library.
YYJSON := out/host/yyjson/src

$(YYJSON)/yyjson.h: rootfs/sources.lock
	$(Q)build/sources.py fetch yyjson && build/sources.py unpack yyjson out/host/yyjson && touch $@

# $(call variant,NAME,COMPILER AND FLAGS,AR,PREREQUISITES): rules for objects and archives in out/NAME/
define variant
out/$1/%.o: %.c $4 | $(YYJSON)/yyjson.h
	@mkdir -p $$(@D)
	$$(Q)$2 $$(OWN_FLAGS) $(CFLAGS_BASE) -isystem $(YYJSON) -MMD -MP -c -o $$@ $$<

out/$1/yyjson.o: $(YYJSON)/yyjson.h $4
	@mkdir -p $$(@D)
	$$(Q)$2 -std=gnu17 -w -c -o $$@ $(YYJSON)/yyjson.c

out/$1/yyjson-small.o: $(YYJSON)/yyjson.h $4
	@mkdir -p $$(@D)
	$$(Q)$2 $(YYJSON_SMALL) -std=gnu17 -w -c -o $$@ $(YYJSON)/yyjson.c

$(foreach f,$(FOLDERS),$(eval $(call folder_archive,$1,$f,$3)))
-include $(foreach f,$(FOLDERS),$(wildcard out/$1/$f/*.d))
endef

define folder_archive
out/$1/$2.a: $(patsubst %.c,out/$1/%.o,$(call sources_of,$2)) $(if $(wildcard $2/*.c),$2)
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && $3 rcs $$@ $$(filter %.o,$$^)
endef

# $(call program,VARIANT,OUTPUT,FOLDER,LINK COMMAND,LIBRARIES): a folder with its main.c; nothing
# while the folder has none.
define program
$(if $(wildcard $3/main.c),
$2: out/$1/$3/main.o $(call archives_of,$1,$3)
	@mkdir -p $$(@D)
	$$(Q)$4 -o $$@ $$^ $5
PROGRAMS_$(firstword $(subst /, ,$1)) += $2
)
endef
