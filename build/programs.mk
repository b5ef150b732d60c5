# Our own programs: for the target with the musl toolchain, for the build host with its gcc.

MUSL := $(if $(filter arm64,$(ARCH)),aarch64,x86_64)-linux-musl
TARGET_CC := $(OUT)/pkg/musl/bin/$(MUSL)-gcc
# the recipes whose include/ and lib/ our programs are built with
TARGET_LIBS := libseccomp http-parser zlib libzstd libarchive mbedtls curl sqlite3
TARGET_FLAGS := $(CFLAGS_PRODUCT) $(if $(filter arm64,$(ARCH)),-mbranch-protection=standard) \
	$(TARGET_LIBS:%=-isystem $(OUT)/pkg/%/include)
TARGET_LINK := $(TARGET_CC) $(TARGET_FLAGS) $(LDFLAGS_PRODUCT) -s $(TARGET_LIBS:%=-L$(OUT)/pkg/%/lib)
# what the C library and compiler are; a file changes when they do
TARGET_KEYS := $(OUT)/keys/musl $(TARGET_LIBS:%=$(OUT)/keys/%)

$(TARGET_KEYS):
	$(Q)build/steps.py $(@F)

# musl's gcc is a script, the same for every compiler behind it, so its key tells ccache what it is
TARGET_CCACHE := $(if $(CCACHE),CCACHE_COMPILERCHECK=string:$$(cat $(OUT)/keys/musl) $(CCACHE))

# C needs no unwinding; a console command is small before it is fast.
NO_UNWIND := -fno-asynchronous-unwind-tables
$(eval $(call variant,$(ARCH)/obj,$(TARGET_CCACHE) $(TARGET_CC) $(TARGET_FLAGS),$(OUT)/pkg/musl/bin/$(MUSL)-ar,$(TARGET_KEYS)))
comma := ,
$(OUT)/obj/runtime/cli/%.o: OWN_FLAGS := -Os $(NO_UNWIND)
$(eval $(call program,$(ARCH)/obj,$(OUT)/bin/init,init,$(TARGET_LINK)))
$(eval $(call program,$(ARCH)/obj,$(OUT)/bin/sampan-storage,init/storage,$(TARGET_LINK)))
$(eval $(call program,$(ARCH)/obj,$(OUT)/bin/sampan,runtime/cli,$(TARGET_LINK) \
	-Wl$(comma)-z$(comma)noseparate-code \
	$(if $(filter x86_64,$(ARCH)),-Wl$(comma)-z$(comma)pack-relative-relocs),\
	$(call ldlibs_of,runtime/cli)))
$(eval $(call program,$(ARCH)/obj,$(OUT)/bin/sampan-oci,runtime/oci,$(TARGET_LINK),-lseccomp))
# A few kB: one page holds what other programs spread over four.
$(eval $(call program,$(ARCH)/obj,$(OUT)/bin/docker-init,runtime/docker-init,$(TARGET_LINK) \
	-Wl$(comma)-z$(comma)noseparate-code))
$(eval $(call program,$(ARCH)/obj,$(OUT)/bin/sampand,runtime/api,$(TARGET_LINK),\
	$(call ldlibs_of,runtime/api) -lmbedtls -lmbedx509 -lmbedcrypto -lzstd -lz))

$(eval $(call variant,host/obj,$(CCACHE) gcc $(CFLAGS_PRODUCT),ar))
$(eval $(call program,host/obj,out/host/sampan-image,runtime/image,gcc $(CFLAGS_PRODUCT) \
	$(LDFLAGS_PRODUCT),$(call ldlibs_of,runtime/image)))

.PHONY: programs host-tools
programs: $(PROGRAMS_$(ARCH))
host-tools: $(PROGRAMS_host)
