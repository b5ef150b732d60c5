# shellcheck shell=bash
# gzip layers.
# source: zlib
# needs: musl

build() {
	CHOST=$MUSL CC=$CC CFLAGS=$CFLAGS ./configure --static --prefix=/
	make -j"$JOBS" libz.a
	mkdir -p "$RESULT/lib" "$RESULT/include"
	cp libz.a "$RESULT/lib/"
	cp zlib.h zconf.h "$RESULT/include/"
}
