# shellcheck shell=bash
# What makes, checks and grows the data partition: mke2fs, e2fsck, resize2fs.
# source: e2fsprogs
# needs: musl

build() {
	./configure --host="$MUSL" --build="$(gcc -dumpmachine)" CC="$CC" BUILD_CC=gcc \
		CFLAGS="$CFLAGS -Os" LDFLAGS="$LDFLAGS" --prefix=/usr --sbindir=/usr/sbin --sysconfdir=/etc \
		--disable-nls --disable-debugfs --disable-imager --disable-defrag --disable-tdb \
		--disable-uuidd --disable-fsck --disable-e2initrd-helper --disable-bmap-stats \
		--disable-testio-debug --disable-fuse2fs --disable-mmp --disable-backtrace \
		--disable-rpath --without-libarchive --with-crond-dir=no --with-systemd-unit-dir=no \
		--with-udev-rules-dir=no
	make -j"$JOBS" libs V=1
	make -j"$JOBS" -C misc mke2fs V=1
	make -j"$JOBS" -C e2fsck e2fsck V=1
	make -j"$JOBS" -C resize resize2fs V=1
	check_static_pie misc/mke2fs e2fsck/e2fsck resize/resize2fs
	install_stripped "$RESULT/usr/sbin" misc/mke2fs e2fsck/e2fsck resize/resize2fs
	install -D -m644 misc/mke2fs.conf "$RESULT/etc/mke2fs.conf"
}
