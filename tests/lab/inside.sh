# Starts a program in the folder with Debian sid: sh -c "$(cat inside.sh)" sh FOLDER [SHARED …] -- PROGRAM [ARGUMENT …].
# In a mount namespace and a pid namespace of its own.
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
while [ "$1" != -- ]; do
  mkdir -p "$root$1"
  mount --bind "$1" "$root$1"
  shift
done
shift
exec chroot "$root" /usr/bin/env --chdir="$PWD" "$@"
