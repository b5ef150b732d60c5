# shellcheck shell=bash
# Reading and writing tar files.
# source: libarchive
# needs: musl zlib libzstd

build() {
	# Debian's patches make Makefile.am newer than what was generated from it
	touch aclocal.m4 Makefile.in config.h.in configure
	./configure --host="$MUSL" CC="$CC" CFLAGS="$CFLAGS" --prefix=/ --enable-static --disable-shared \
		CPPFLAGS="-I$DEP_ZLIB/include -I$DEP_LIBZSTD/include" \
		LDFLAGS="-L$DEP_ZLIB/lib -L$DEP_LIBZSTD/lib" \
		--disable-bsdtar --disable-bsdcat --disable-bsdcpio --disable-bsdunzip --disable-acl \
		--without-bz2lib --without-libb2 --without-iconv --without-lz4 --without-lzma \
		--without-lzo2 --without-cng --without-xml2 --without-expat --without-openssl \
		--without-mbedtls --without-nettle
	make -j"$JOBS" libarchive.la
	mkdir -p "$RESULT/lib" "$RESULT/include"
	cp .libs/libarchive.a "$RESULT/lib/"
	cp libarchive/archive.h libarchive/archive_entry.h "$RESULT/include/"
}
