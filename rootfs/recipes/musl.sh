# shellcheck shell=bash
# The C library, and with it the cross compiler: the distribution's gcc behind a specs file. All that
# it links is static-pie with full RELRO.
# source: musl
# needs: linux-headers

build() {
	./configure CC="$GNU-gcc" CROSS_COMPILE="$GNU-" CFLAGS="$CFLAGS" --target="$MUSL" \
		--prefix="$RESULT" --syslibdir="$RESULT/lib" --disable-shared --disable-gcc-wrapper
	make -j"$JOBS"
	make install
	cp -r "$DEP_LINUX_HEADERS"/include/. "$RESULT/include/"
	mkdir -p "$RESULT/bin"

	# Paths come from the environment at run time, so the result may lie anywhere.
	cat >"$RESULT/lib/musl.specs" <<'END'
%rename cpp_options old_cpp_options

*cpp_options:
-nostdinc -isystem %:getenv(SAMPAN_SYSROOT /include) -isystem include%s %(old_cpp_options)

*cc1:
%(cc1_cpu) -nostdinc -isystem %:getenv(SAMPAN_SYSROOT /include) -isystem include%s

*link_libgcc:
-L%:getenv(SAMPAN_SYSROOT /lib) -L .%s

*libgcc:
libgcc.a%s

*startfile:
%:getenv(SAMPAN_SYSROOT /lib/rcrt1.o) %:getenv(SAMPAN_SYSROOT /lib/crti.o) crtbeginS.o%s

*endfile:
crtendS.o%s %:getenv(SAMPAN_SYSROOT /lib/crtn.o)

*link:
-nostdlib --build-id=none %{!r:-static -pie --no-dynamic-linker -z text -z relro -z now}

*esp_link:


*esp_options:


*esp_cpp_options:


END
	cat >"$RESULT/bin/$MUSL-gcc" <<END
#!/bin/sh
here=\$(dirname "\$0")
export SAMPAN_SYSROOT="\${here%/bin}"
exec $GNU-gcc "\$@" -specs="\$SAMPAN_SYSROOT/lib/musl.specs"
END
	cat >"$RESULT/bin/$MUSL-pkg-config" <<'END'
#!/bin/sh
# only what the caller names in PKG_CONFIG_LIBDIR, wherever it was built
exec pkg-config --define-prefix --static "$@"
END
	chmod 755 "$RESULT/bin"/*
	for tool in ar as ld nm objcopy objdump ranlib readelf strip; do
		printf '#!/bin/sh\nexec %s "$@"\n' "$GNU-$tool" >"$RESULT/bin/$MUSL-$tool"
		chmod 755 "$RESULT/bin/$MUSL-$tool"
	done

	printf '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n' >"$WORK/hello.c"
	PATH=$RESULT/bin:$PATH "$MUSL-gcc" -O2 -o "$WORK/hello" "$WORK/hello.c"
	check_static_pie "$WORK/hello"
}
