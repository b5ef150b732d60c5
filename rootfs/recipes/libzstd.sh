# shellcheck shell=bash
# zstd layers, read and written; without the formats before 1.0, dictionaries and threads.
# source: libzstd
# needs: musl

build() {
	make -j"$JOBS" -C lib CC="$CC" AR="$GNU-ar" CFLAGS="$CFLAGS" ZSTD_LEGACY_SUPPORT=0 \
		ZSTD_LIB_DICTBUILDER=0 ZSTD_LIB_DEPRECATED=0 libzstd.a
	mkdir -p "$RESULT/lib" "$RESULT/include"
	cp lib/libzstd.a "$RESULT/lib/"
	cp lib/zstd.h lib/zstd_errors.h "$RESULT/include/"
}
