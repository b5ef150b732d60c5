# shellcheck shell=bash
# What the run.sh of every QEMU board has in common: its options, and the arguments that do not
# depend on the board. Sourced; needs $board_arch (x86_64 or arm64) and $kernel_file (the name of
# the direct-boot kernel below out/<arch>/) set before; $board_words, for the kernel's command line of a
# direct boot, may be.
#
# Sets for run.sh:
#   $accel $cpu       what to run on: kvm and the host's processor, or TCG and everything it knows
#   $memory $cpus     MiB, number
#   boot=()           kernel and initramfs, or firmware; the drives
#   words=()          direct boot: the kernel's command line; qemu_exec passes it on
#   $ssh_key          public key file, or empty
#   disks=()          ids of drives, to be attached to devices as the board does
#   common=()         console, monitor, network back end (netdev "net"), ssh key, what came after --

# Set by or for the script that sources this file; and QEMU's arguments are full of commas.
# shellcheck disable=SC2034,SC2054,SC2154

board_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out_dir=${board_dir%/*}/out/$board_arch

qemu_usage() {
	cat <<END
Usage: ${0##*/} [option]... [-- QEMU argument...]

  --memory MIB          memory (default 256)
  --cpus N              processors (default 1)
  --kernel FILE         direct boot: kernel (default out/$board_arch/$kernel_file)
  --initrd FILE         direct boot: an archive for the initramfs; may be repeated
                        (default out/$board_arch/initramfs.cpio.zst, then app.cpio if it is there)
  --append WORDS        direct boot: added to the kernel's command line
  --firmware bios|uefi  boot from the first disk by firmware instead of the kernel directly
  --uefi-vars FILE      keep UEFI variables in FILE (default: forgotten when QEMU ends)
  --disk FILE           attach a disk (qcow2 by its name, else raw); may be repeated
  --forward HOST:GUEST  forward TCP port HOST of 127.0.0.1 (0: any free one); may be repeated
  --ssh-key FILE        public key that may log in as root, by fw_cfg
  --serial stdio|PATH   console on the terminal (default), or on a unix socket that you listen on
  --console-log FILE    also write everything the console prints to FILE
  --qmp PATH            QEMU's control channel on a unix socket that you listen on
  --accel NAME          accelerator instead of the probed one (board/accel.sh)
  --dry-run             print the command instead of running it
END
}

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# One file that holds all archives. QEMU takes a single initrd; the kernel unpacks archives that
# follow one another and wants each to start at a multiple of four bytes. The file has no name any
# more when QEMU opens it, so nothing is left behind.
join_archives() {
	local file joined size

	joined=$(mktemp)
	exec {joined_fd}<>"$joined"
	rm "$joined"
	for file; do
		cat "$file" >&"$joined_fd"
		size=$(stat -c %s "$file")
		head -c $(((4 - size % 4) % 4)) /dev/zero >&"$joined_fd"
	done
	initrd=/dev/fd/$joined_fd
}

direct_boot() {
	local file

	[[ -e $kernel ]] || die "no kernel at $kernel; build it with: make ARCH=$board_arch"
	if ((${#initrds[@]} == 0)); then
		initrds=("$out_dir/initramfs.cpio.zst")
		[[ ! -e $out_dir/app.cpio ]] || initrds+=("$out_dir/app.cpio")
	fi
	for file in "${initrds[@]}"; do
		[[ -e $file ]] || die "no archive at $file; build it with: make ARCH=$board_arch"
	done
	if ((${#initrds[@]} == 1)); then
		initrd=${initrds[0]}
	else
		join_archives "${initrds[@]}"
	fi
	boot=(-kernel "$kernel" -initrd "$initrd")
	words=("console=$console_device" "$(<"$board_dir/../kernel-config/cmdline")" "${words[@]}")
}

uefi_boot() {
	local code vars

	case $board_arch in
	x86_64) code=/usr/share/OVMF/OVMF_CODE_4M.fd vars=/usr/share/OVMF/OVMF_VARS_4M.fd ;;
	arm64) code=/usr/share/AAVMF/AAVMF_CODE.fd vars=/usr/share/AAVMF/AAVMF_VARS.fd ;;
	esac
	[[ -e $code ]] || die "no UEFI firmware at $code; install ovmf or qemu-efi-aarch64"
	if [[ -z $uefi_vars ]]; then
		uefi_vars=$(mktemp)
		cp "$vars" "$uefi_vars"
		exec {vars_fd}<>"$uefi_vars"
		rm "$uefi_vars"
		uefi_vars=/dev/fd/$vars_fd
	elif [[ ! -e $uefi_vars ]]; then
		cp "$vars" "$uefi_vars"
	fi
	boot=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$code"
		-drive "if=pflash,unit=1,format=raw,file=$uefi_vars")
}

qemu_options() {
	local firmware='' serial=stdio console_log='' qmp='' net=user,id=net file id n=0
	local -a initrds=() disk_files=()

	memory=256 cpus=1 words=(${board_words:+"$board_words"}) ssh_key='' accel='' dry_run='' uefi_vars='' kernel=$out_dir/$kernel_file
	case $board_arch in
	x86_64) console_device=ttyS0 ;;
	arm64) console_device=ttyAMA0 ;;
	esac
	while (($#)); do
		case $1 in
		--help) qemu_usage && exit 0 ;;
		--dry-run) dry_run=yes && shift && continue ;;
		--) shift && break ;;
		esac
		(($# > 1)) || die "$1 needs a value, or is unknown; see --help"
		case $1 in
		--memory) memory=$2 ;;
		--cpus) cpus=$2 ;;
		--kernel) kernel=$2 ;;
		--initrd) initrds+=("$2") ;;
		--append) words+=("$2") ;;
		--firmware) firmware=$2 ;;
		--uefi-vars) uefi_vars=$2 ;;
		--disk) disk_files+=("$2") ;;
		--forward) net+=,hostfwd=tcp:127.0.0.1:${2%:*}-:${2#*:} ;;
		--ssh-key) ssh_key=$2 ;;
		--serial) serial=$2 ;;
		--console-log) console_log=$2 ;;
		--qmp) qmp=$2 ;;
		--accel) accel=$2 ;;
		*) die "unknown option $1; see --help" ;;
		esac
		shift 2
	done

	boot=()
	case $firmware in
	'') direct_boot ;;
	bios) [[ $board_arch = x86_64 ]] || die "only x86_64 has a BIOS" ;;
	uefi) uefi_boot ;;
	*) die "firmware is bios or uefi, not $firmware" ;;
	esac

	disks=()
	for file in ${disk_files[@]+"${disk_files[@]}"}; do
		id=disk$((n++))
		disks+=("$id")
		boot+=(-drive "if=none,id=$id,format=$([[ $file = *.qcow2 ]] && echo qcow2 || echo raw),file=$file")
	done

	common=(-nodefaults -no-user-config -display none -netdev "$net")
	if [[ $serial = stdio ]]; then
		common+=(-chardev "stdio,id=console,mux=on,signal=off${console_log:+,logfile=$console_log}"
			-mon chardev=console,mode=readline)
	else
		common+=(-chardev "socket,id=console,path=$serial${console_log:+,logfile=$console_log}")
	fi
	common+=(-serial chardev:console)
	[[ -z $qmp ]] || common+=(-qmp "unix:$qmp")
	[[ -z $ssh_key ]] || common+=(-fw_cfg "name=opt/sampan/authorized_key,file=$ssh_key")
	common+=("$@")

	[[ -n $accel ]] || accel=$("$board_dir/accel.sh" "$board_arch" "$kernel")
	case $accel-$board_arch in
	kvm*) cpu=host ;;
	# the emulated pointer authentication that "max" uses by default costs a third of the speed
	*-arm64) cpu=max,pauth-impdef=on ;;
	*) cpu=max ;;
	esac
}

# Become QEMU, or print what would be run.
qemu_exec() {
	[[ " ${boot[*]} " != *" -kernel "* ]] || set -- "$@" -append "${words[*]}"
	if [[ -n $dry_run ]]; then
		printf '%q ' "$@"
		echo
	else
		exec "$@"
	fi
}
