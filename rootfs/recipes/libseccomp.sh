# shellcheck shell=bash
# Seccomp filters, for sampan-oci.
# source: libseccomp
# needs: musl

build() {
	./configure --host="$MUSL" CC="$CC" CFLAGS="$CFLAGS" --prefix=/ \
		--disable-shared --enable-static --disable-python
	make -j"$JOBS" -C include
	make -j"$JOBS" -C src libseccomp.la
	make -C include DESTDIR="$RESULT" install
	mkdir -p "$RESULT/lib/pkgconfig"
	cp src/.libs/libseccomp.a "$RESULT/lib/"
	cp libseccomp.pc "$RESULT/lib/pkgconfig/"
}
