# shellcheck shell=bash
# ssh: dropbear and dropbearkey in one program. Keys only: passwords are not even compiled in.
# source: dropbear
# needs: musl

build() {
	cat >localoptions.h <<'END'
#define DROPBEAR_SVR_PASSWORD_AUTH 0
#define DROPBEAR_SVR_PAM_AUTH 0
#define DROPBEAR_SVR_PUBKEY_AUTH 1
#define DROPBEAR_CLI_PASSWORD_AUTH 0
/* modern algorithms only */
#define DROPBEAR_DSS 0
#define DROPBEAR_AES128 0
#define DROPBEAR_3DES 0
#define DROPBEAR_SHA1_HMAC 0
#define DROPBEAR_RSA_SHA1 0
#define DROPBEAR_DH_GROUP14_SHA1 0
#define DROPBEAR_DH_GROUP16 0
/* forwarding of sockets is what ssh:// clients of a container host use; the rest stays off */
#define DROPBEAR_X11FWD 0
#define DROPBEAR_SVR_AGENTFWD 0
#define INETD_MODE 0
#define DO_MOTD 0
#define DROPBEAR_SFTPSERVER 0
#define DEFAULT_PATH "/usr/bin:/bin"
#define DEFAULT_ROOT_PATH "/usr/sbin:/usr/bin:/sbin:/bin"
END
	./configure --host="$MUSL" CC="$CC" CFLAGS="$CFLAGS" LDFLAGS="$LDFLAGS" --disable-zlib \
		--disable-pam --disable-syslog --disable-shadow --disable-lastlog --disable-utmp \
		--disable-utmpx --disable-wtmp --disable-wtmpx --disable-loginfunc \
		--disable-pututline --disable-pututxline --enable-bundled-libtom
	make -j"$JOBS" PROGRAMS="dropbear dropbearkey" MULTI=1
	check_static_pie dropbearmulti
	install_stripped "$RESULT/usr/sbin" dropbearmulti
	mkdir -p "$RESULT/usr/bin"
	ln -s dropbearmulti "$RESULT/usr/sbin/dropbear"
	ln -s ../sbin/dropbearmulti "$RESULT/usr/bin/dropbearkey"
}
