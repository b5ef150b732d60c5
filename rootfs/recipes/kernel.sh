# shellcheck shell=bash
# The kernel, from the fragments in kernel-config/.
# source: linux-source-6.12
# unpack: no
# files: kernel-config/*.config kernel-config/build.sh kernel-config/check.py kernel-config/fragments.py
# note: a kernel takes about 15 minutes of one processor the first time
# publish: yes

build() {
	"$TOP/kernel-config/build.sh" "$ARCH" "$SOURCE_FILES" "$RESULT"
}
