/*
 * Loaded before libc (LD_PRELOAD), this stands between a server and the disk. It writes down every
 * change of the files below one directory, with its data and in the order in which the changes took
 * effect, so that a disk that loses its power at any moment can be made of them; and it makes that disk
 * slow, full, broken, read-only or a liar while the server runs.
 *
 * POWER_ROOT names the directory, POWER_LOG the file that all processes share: a page of controls
 * (see `struct control`; shim.ts writes it), then the log, as long as the file was made. It is mapped, so
 * that what is in it survives a kill. One lock is held over each change and its entry: the order of the
 * entries is the order of the changes, whichever thread or process makes them.
 *
 * fsync itself is never asked of the real disk where a log is kept: its entry is all that it is worth here.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
/* FICLONE and FICLONERANGE of linux/fs.h. */
#define CLONE_FILE 0x40049409
#define CLONE_RANGE 0x4020940d
#define MOST_FDS 65536
#define CONTROL_BYTES 4096

enum operation { CREATE = 1, WRITE, TRUNCATE, RENAME, LINK, UNLINK, RMDIR, MKDIR, SYNC, SYNC_BEGIN, SYNC_END, SYNC_FAILED, CHMOD, MAP, OTHER };

/* The offsets of the numbers are known to shim.ts. */
struct control {
  _Atomic uint64_t end;        /* bytes of the log so far; an entry counts when it is whole */
  _Atomic uint64_t lies;       /* fsyncs answer well and do nothing */
  _Atomic uint64_t sync_least_us, sync_most_us; /* how long an fsync takes */
  _Atomic uint64_t is_bounded, room;            /* when bounded, so many bytes can still be written */
  _Atomic uint64_t write_errno, sync_errno, name_errno; /* what fails, and how */
  _Atomic uint64_t syncs;      /* fsyncs so far */
  _Atomic uint64_t overflowed; /* the log was too short: it is worth nothing */
  _Atomic uint64_t lock_state; /* 0: no lock yet, 1: being made, 2: there */
  _Atomic uint64_t chance;
  pthread_mutex_t lock;
};

/* Before each entry's first name, second name and data. */
struct head {
  uint32_t operation, mode, name_bytes, second_bytes;
  uint64_t inode, number; /* an offset, a size, or which fsync began */
  uint64_t data_bytes;
};

static struct control *control;
static unsigned char *log_start;
static uint64_t log_capacity;
static char root[PATH_MAX];
static size_t root_length;
/* Which file below the root a descriptor is of; 0: none of them. */
static _Atomic uint64_t inode_of[MOST_FDS];

#define REAL(name) \
  static __typeof__(name) *real; \
  if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define DEFINE_REAL(name, type, parameters, arguments) \
  static type real_##name parameters { \
    REAL(name); \
    return real arguments; \
  }

DEFINE_REAL(openat, int, (int directory, const char *path, int flags, mode_t mode), (directory, path, flags, mode))
DEFINE_REAL(close, int, (int fd), (fd))
DEFINE_REAL(writev, ssize_t, (int fd, const struct iovec *vectors, int count), (fd, vectors, count))
DEFINE_REAL(pwritev, ssize_t, (int fd, const struct iovec *vectors, int count, off_t offset), (fd, vectors, count, offset))
DEFINE_REAL(ftruncate, int, (int fd, off_t size), (fd, size))
DEFINE_REAL(renameat2, int, (int from, const char *old, int to, const char *new, unsigned flags), (from, old, to, new, flags))
DEFINE_REAL(linkat, int, (int from, const char *old, int to, const char *new, int flags), (from, old, to, new, flags))
DEFINE_REAL(unlinkat, int, (int directory, const char *path, int flags), (directory, path, flags))
DEFINE_REAL(mkdirat, int, (int directory, const char *path, mode_t mode), (directory, path, mode))
DEFINE_REAL(fsync, int, (int fd), (fd))
DEFINE_REAL(fchmodat, int, (int directory, const char *path, mode_t mode, int flags), (directory, path, mode, flags))

/* ---- the lock and the log ---- */

static void make_lock(void) {
  uint64_t none = 0;
  if (atomic_compare_exchange_strong(&control->lock_state, &none, 1)) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST); /* a process may be killed while it holds it */
    pthread_mutex_init(&control->lock, &attributes);
    atomic_store(&control->lock_state, 2);
  }
  while (atomic_load(&control->lock_state) != 2) sched_yield();
}

__attribute__((constructor)) static void begin(void) {
  const char *directory = getenv("POWER_ROOT"), *path = getenv("POWER_LOG");
  if (directory == NULL || path == NULL) return;
  int fd = real_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  struct stat file;
  if (fd < 0 || fstat(fd, &file) < 0 || file.st_size < CONTROL_BYTES) {
    fprintf(stderr, "shim: %s is no log: %s\n", path, strerror(errno));
    _exit(70);
  }
  unsigned char *mapped = mmap(NULL, file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  real_close(fd);
  if (mapped == MAP_FAILED) {
    perror("shim: the log cannot be mapped");
    _exit(70);
  }
  control = (struct control *)mapped;
  log_start = mapped + CONTROL_BYTES;
  log_capacity = file.st_size - CONTROL_BYTES;
  make_lock();
  root_length = strlen(directory);
  memcpy(root, directory, root_length + 1);
}

static void lock(void) {
  if (pthread_mutex_lock(&control->lock) == EOWNERDEAD) pthread_mutex_consistent(&control->lock);
}

static void unlock(void) {
  int saved = errno;
  pthread_mutex_unlock(&control->lock);
  errno = saved;
}

static unsigned char *put(unsigned char *at, const void *bytes, size_t length) {
  memcpy(at, bytes, length);
  return at + length;
}

/* Adds an entry, of whose data the first `data_bytes` bytes of `vectors` are taken. The lock is held. */
static void tell(struct head head, const char *name, const char *second, const struct iovec *vectors) {
  if (log_capacity == 0) return;
  head.name_bytes = name == NULL ? 0 : strlen(name);
  head.second_bytes = second == NULL ? 0 : strlen(second);
  uint64_t end = atomic_load(&control->end);
  uint64_t length = sizeof head + head.name_bytes + head.second_bytes + head.data_bytes;
  if (end + length > log_capacity) {
    atomic_store(&control->overflowed, 1);
    return;
  }
  unsigned char *at = put(log_start + end, &head, sizeof head);
  at = put(at, name, head.name_bytes);
  at = put(at, second, head.second_bytes);
  for (uint64_t left = head.data_bytes; left > 0; vectors++) {
    uint64_t part = vectors->iov_len < left ? vectors->iov_len : left;
    at = put(at, vectors->iov_base, part);
    left -= part;
  }
  atomic_store(&control->end, end + length);
}

/* ---- which files ---- */

/* The path from the root to what is meant, in `name`: "" is the root itself. False if it is not below the root. */
static int place(int directory, const char *path, char *name) {
  if (root_length == 0 || path == NULL) return 0;
  char whole[2 * PATH_MAX];
  if (path[0] == '/') {
    if (snprintf(whole, sizeof whole, "%s", path) >= PATH_MAX) return 0;
  } else {
    char base[PATH_MAX], link[64];
    if (directory == AT_FDCWD) {
      if (getcwd(base, sizeof base) == NULL) return 0;
    } else {
      snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
      ssize_t length = readlink(link, base, sizeof base - 1);
      if (length < 0) return 0;
      base[length] = 0;
    }
    if (snprintf(whole, sizeof whole, "%s/%s", base, path) >= PATH_MAX) return 0;
  }
  /* Without empty parts, . and .. */
  char plain[2 * PATH_MAX];
  size_t length = 0;
  for (char *rest, *part = strtok_r(whole, "/", &rest); part != NULL; part = strtok_r(NULL, "/", &rest)) {
    if (strcmp(part, ".") == 0) continue;
    if (strcmp(part, "..") == 0) {
      while (length > 0 && plain[--length] != '/');
      continue;
    }
    length += snprintf(plain + length, sizeof plain - length, "/%s", part);
  }
  plain[length] = 0;
  if (strncmp(plain, root, root_length) != 0) return 0;
  if (plain[root_length] != '/' && plain[root_length] != 0) return 0;
  strcpy(name, plain[root_length] == '/' ? plain + root_length + 1 : "");
  return 1;
}

static uint64_t inode_at(int fd) {
  return fd >= 0 && fd < MOST_FDS ? atomic_load(&inode_of[fd]) : 0;
}

static void remember(int fd, uint64_t inode) {
  if (fd >= 0 && fd < MOST_FDS) atomic_store(&inode_of[fd], inode);
}

static int is_kept(mode_t mode) {
  return S_ISREG(mode) || S_ISDIR(mode);
}

/* ---- what fails on purpose ---- */

static int fails(_Atomic uint64_t *fault) {
  uint64_t error = atomic_load(fault);
  if (error == 0) return 0;
  errno = error;
  return 1;
}

/* Whether a new name cannot be made, or one changed. */
static int refuses_name(int makes_one) {
  if (fails(&control->name_errno)) return 1;
  if (!makes_one || !atomic_load(&control->is_bounded) || atomic_load(&control->room) > 0) return 0;
  errno = ENOSPC;
  return 1;
}

/* ---- open and close ---- */

static int open_it(int directory, const char *path, int flags, mode_t mode) {
  char name[PATH_MAX];
  if (!place(directory, path, name)) {
    int fd = real_openat(directory, path, flags, mode);
    remember(fd, 0);
    return fd;
  }
  if ((flags & O_TMPFILE) == O_TMPFILE) {
    errno = EOPNOTSUPP;
    return -1;
  }
  struct stat file;
  lock();
  int makes = (flags & O_CREAT) && fstatat(directory, path, &file, 0) < 0;
  int changes = makes || (flags & O_TRUNC) || (flags & O_ACCMODE) != O_RDONLY;
  int fd = changes && refuses_name(makes) ? -1 : real_openat(directory, path, flags, mode);
  if (fd >= 0) {
    fstat(fd, &file);
    remember(fd, is_kept(file.st_mode) ? file.st_ino : 0);
    struct head head = {.inode = file.st_ino, .mode = file.st_mode & 07777};
    if (makes) {
      head.operation = CREATE;
      tell(head, name, NULL, NULL);
    } else if ((flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY && S_ISREG(file.st_mode)) {
      head.operation = TRUNCATE;
      tell(head, NULL, NULL, NULL);
    }
  }
  unlock();
  return fd;
}

static mode_t mode_in(int flags, va_list arguments) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name) \
  EXPORT int name(const char *path, int flags, ...) { \
    va_list arguments; \
    va_start(arguments, flags); \
    mode_t mode = mode_in(flags, arguments); \
    va_end(arguments); \
    return open_it(AT_FDCWD, path, flags, mode); \
  }
#define OPENAT(name) \
  EXPORT int name(int directory, const char *path, int flags, ...) { \
    va_list arguments; \
    va_start(arguments, flags); \
    mode_t mode = mode_in(flags, arguments); \
    va_end(arguments); \
    return open_it(directory, path, flags, mode); \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

EXPORT int creat(const char *path, mode_t mode) {
  return open_it(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

EXPORT int close(int fd) {
  remember(fd, 0);
  return real_close(fd);
}

/* These close a descriptor without a call of close() that could be seen. */
EXPORT int closedir(DIR *directory) {
  REAL(closedir);
  remember(dirfd(directory), 0);
  return real(directory);
}

EXPORT int fclose(FILE *file) {
  REAL(fclose);
  remember(fileno(file), 0);
  return real(file);
}

static int copied(int from, int to) {
  remember(to, to < 0 ? 0 : inode_at(from));
  return to;
}

EXPORT int dup(int fd) {
  REAL(dup);
  return copied(fd, real(fd));
}

EXPORT int dup2(int fd, int other) {
  REAL(dup2);
  return copied(fd, real(fd, other));
}

EXPORT int dup3(int fd, int other, int flags) {
  REAL(dup3);
  return copied(fd, real(fd, other, flags));
}

#define FCNTL(name) \
  EXPORT int name(int fd, int command, ...) { \
    REAL(name); \
    va_list arguments; \
    va_start(arguments, command); \
    void *argument = va_arg(arguments, void *); \
    va_end(arguments); \
    int answer = real(fd, command, argument); \
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(fd, answer) : answer; \
  }
FCNTL(fcntl)
FCNTL(fcntl64)

/* ---- data ---- */

static ssize_t write_it(int fd, uint64_t inode, const struct iovec *vectors, int count, off_t offset) {
  if (count < 0 || count > IOV_MAX) {
    errno = EINVAL;
    return -1;
  }
  uint64_t total = 0;
  for (int i = 0; i < count; i++) total += vectors[i].iov_len;
  ssize_t written = -1;
  lock();
  if (!fails(&control->write_errno)) {
    uint64_t room = atomic_load(&control->is_bounded) ? atomic_load(&control->room) : UINT64_MAX;
    if (total > 0 && room == 0) {
      errno = ENOSPC;
    } else {
      /* As on a real disk, what still fits is written. */
      struct iovec fitting[IOV_MAX];
      for (int i = 0; i < count; i++) {
        fitting[i] = vectors[i];
        if (fitting[i].iov_len > room) fitting[i].iov_len = room;
        room -= fitting[i].iov_len;
      }
      written = offset < 0 ? real_writev(fd, fitting, count) : real_pwritev(fd, fitting, count, offset);
    }
  }
  if (written > 0) {
    if (atomic_load(&control->is_bounded)) atomic_fetch_sub(&control->room, written);
    uint64_t at = offset < 0 ? (uint64_t)(lseek(fd, 0, SEEK_CUR) - written) : (uint64_t)offset;
    tell((struct head){.operation = WRITE, .inode = inode, .number = at, .data_bytes = written}, NULL, NULL, vectors);
  }
  unlock();
  return written;
}

EXPORT ssize_t writev(int fd, const struct iovec *vectors, int count) {
  uint64_t inode = inode_at(fd);
  return inode == 0 ? real_writev(fd, vectors, count) : write_it(fd, inode, vectors, count, -1);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t length) {
  REAL(write);
  uint64_t inode = inode_at(fd);
  if (inode == 0) return real(fd, bytes, length);
  return write_it(fd, inode, &(struct iovec){(void *)bytes, length}, 1, -1);
}

#define PWRITE(name, offset_type) \
  EXPORT ssize_t name(int fd, const void *bytes, size_t length, offset_type offset) { \
    REAL(name); \
    uint64_t inode = inode_at(fd); \
    if (inode == 0) return real(fd, bytes, length, offset); \
    return write_it(fd, inode, &(struct iovec){(void *)bytes, length}, 1, offset); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PWRITEV(name, offset_type) \
  EXPORT ssize_t name(int fd, const struct iovec *vectors, int count, offset_type offset) { \
    REAL(name); \
    uint64_t inode = inode_at(fd); \
    return inode == 0 ? real(fd, vectors, count, offset) : write_it(fd, inode, vectors, count, offset); \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define PWRITEV2(name, offset_type) \
  EXPORT ssize_t name(int fd, const struct iovec *vectors, int count, offset_type offset, int flags) { \
    REAL(name); \
    uint64_t inode = inode_at(fd); \
    return inode == 0 ? real(fd, vectors, count, offset, flags) : write_it(fd, inode, vectors, count, offset); \
  }
PWRITEV2(pwritev2, off_t)

static int truncate_it(int fd, uint64_t inode, off_t size) {
  lock();
  int answer = fails(&control->write_errno) ? -1 : real_ftruncate(fd, size);
  if (answer == 0) tell((struct head){.operation = TRUNCATE, .inode = inode, .number = size}, NULL, NULL, NULL);
  unlock();
  return answer;
}

EXPORT int ftruncate(int fd, off_t size) {
  uint64_t inode = inode_at(fd);
  return inode == 0 ? real_ftruncate(fd, size) : truncate_it(fd, inode, size);
}

EXPORT int ftruncate64(int fd, off64_t size) {
  return ftruncate(fd, size);
}

EXPORT int truncate(const char *path, off_t size) {
  int fd = open_it(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return -1;
  int answer = ftruncate(fd, size);
  close(fd);
  return answer;
}

EXPORT int truncate64(const char *path, off64_t size) {
  return truncate(path, size);
}

/* Refused, so that the caller writes instead, as it must where a file system cannot do these. */
#define REFUSED(name, type, parameters, arguments, fd, failure) \
  EXPORT type name parameters { \
    REAL(name); \
    if (inode_at(fd) == 0) return real arguments; \
    failure; \
  }
REFUSED(fallocate, int, (int fd, int mode, off_t at, off_t length), (fd, mode, at, length), fd, errno = EOPNOTSUPP; return -1)
REFUSED(fallocate64, int, (int fd, int mode, off64_t at, off64_t length), (fd, mode, at, length), fd, errno = EOPNOTSUPP; return -1)
REFUSED(posix_fallocate, int, (int fd, off_t at, off_t length), (fd, at, length), fd, return EOPNOTSUPP)
REFUSED(posix_fallocate64, int, (int fd, off64_t at, off64_t length), (fd, at, length), fd, return EOPNOTSUPP)
REFUSED(sendfile, ssize_t, (int to, int from, off_t *at, size_t length), (to, from, at, length), to, errno = EINVAL; return -1)
REFUSED(sendfile64, ssize_t, (int to, int from, off64_t *at, size_t length), (to, from, at, length), to, errno = EINVAL; return -1)
REFUSED(copy_file_range, ssize_t, (int from, off64_t *at, int to, off64_t *there, size_t length, unsigned flags), (from, at, to, there, length, flags), to, errno = ENOSYS; return -1)
REFUSED(splice, ssize_t, (int from, off64_t *at, int to, off64_t *there, size_t length, unsigned flags), (from, at, to, there, length, flags), to, errno = EINVAL; return -1)

EXPORT int ioctl(int fd, unsigned long request, ...) {
  REAL(ioctl);
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (inode_at(fd) == 0 || (request != CLONE_FILE && request != CLONE_RANGE)) return real(fd, request, argument);
  errno = EOPNOTSUPP;
  return -1;
}

/* What goes round libc: libuv closes files so. A ring of the kernel would write unseen: there is none here. */
EXPORT long syscall(long number, ...) {
  REAL(syscall);
  long a[6];
  va_list arguments;
  va_start(arguments, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(arguments, long);
  va_end(arguments);
  if (number == SYS_close) remember(a[0], 0);
  int copies = number == SYS_copy_file_range && inode_at(a[2]) != 0;
  if (root_length > 0 && (copies || number == SYS_io_uring_setup)) {
    errno = ENOSYS;
    return -1;
  }
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* SQLite's index of its log is mapped and made anew after a loss; anything else that is mapped is a file that this log knows nothing of. */
static void told_mapped(int protection, int flags, int fd) {
  uint64_t inode = inode_at(fd);
  if (inode == 0 || !(protection & PROT_WRITE) || !(flags & MAP_SHARED)) return;
  lock();
  tell((struct head){.operation = MAP, .inode = inode}, NULL, NULL, NULL);
  unlock();
}

#define MMAP(name, offset_type) \
  EXPORT void *name(void *address, size_t length, int protection, int flags, int fd, offset_type offset) { \
    REAL(name); \
    if (!(flags & MAP_ANONYMOUS)) told_mapped(protection, flags, fd); \
    return real(address, length, protection, flags, fd, offset); \
  }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

/* ---- names ---- */

static int rename_it(int from, const char *old, int to, const char *new, unsigned flags) {
  char first[PATH_MAX], second[PATH_MAX];
  int leaves = place(from, old, first), arrives = place(to, new, second);
  if (!leaves && !arrives) return real_renameat2(from, old, to, new, flags);
  struct stat source, target;
  lock();
  int known = fstatat(from, old, &source, AT_SYMLINK_NOFOLLOW) == 0;
  int same = known && fstatat(to, new, &target, AT_SYMLINK_NOFOLLOW) == 0 && source.st_ino == target.st_ino;
  int answer = refuses_name(0) ? -1 : real_renameat2(from, old, to, new, flags);
  /* Two names of one file both stay. */
  if (answer == 0 && !same) {
    struct head head = {.operation = leaves && arrives && flags == 0 ? RENAME : OTHER, .inode = source.st_ino};
    tell(head, leaves ? first : old, arrives ? second : new, NULL);
  }
  unlock();
  return answer;
}

EXPORT int rename(const char *old, const char *new) {
  return rename_it(AT_FDCWD, old, AT_FDCWD, new, 0);
}

EXPORT int renameat(int from, const char *old, int to, const char *new) {
  return rename_it(from, old, to, new, 0);
}

EXPORT int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
  return rename_it(from, old, to, new, flags);
}

EXPORT int linkat(int from, const char *old, int to, const char *new, int flags) {
  char first[PATH_MAX], second[PATH_MAX];
  int leaves = place(from, old, first), arrives = place(to, new, second);
  if (!leaves && !arrives) return real_linkat(from, old, to, new, flags);
  lock();
  int answer = refuses_name(1) ? -1 : real_linkat(from, old, to, new, flags);
  if (answer == 0) {
    tell((struct head){.operation = leaves && arrives ? LINK : OTHER}, leaves ? first : old, arrives ? second : new, NULL);
  }
  unlock();
  return answer;
}

EXPORT int link(const char *old, const char *new) {
  return linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}

EXPORT int unlinkat(int directory, const char *path, int flags) {
  char name[PATH_MAX];
  if (!place(directory, path, name)) return real_unlinkat(directory, path, flags);
  struct stat file;
  lock();
  int kept = fstatat(directory, path, &file, AT_SYMLINK_NOFOLLOW) == 0 && is_kept(file.st_mode);
  int answer = refuses_name(0) ? -1 : real_unlinkat(directory, path, flags);
  if (answer == 0 && kept) {
    tell((struct head){.operation = flags & AT_REMOVEDIR ? RMDIR : UNLINK, .inode = file.st_ino}, name, NULL, NULL);
  }
  unlock();
  return answer;
}

EXPORT int unlink(const char *path) {
  return unlinkat(AT_FDCWD, path, 0);
}

EXPORT int rmdir(const char *path) {
  return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

EXPORT int remove(const char *path) {
  return unlink(path) == 0 ? 0 : errno == EISDIR || errno == EPERM ? rmdir(path) : -1;
}

EXPORT int mkdirat(int directory, const char *path, mode_t mode) {
  char name[PATH_MAX];
  if (!place(directory, path, name)) return real_mkdirat(directory, path, mode);
  struct stat made;
  lock();
  int answer = -1;
  /* One that is there says so, on a read-only disk too. */
  if (fstatat(directory, path, &made, AT_SYMLINK_NOFOLLOW) == 0) errno = EEXIST;
  else if (!refuses_name(1)) answer = real_mkdirat(directory, path, mode);
  if (answer == 0 && fstatat(directory, path, &made, 0) == 0) {
    tell((struct head){.operation = MKDIR, .inode = made.st_ino, .mode = made.st_mode & 07777}, name, NULL, NULL);
  }
  unlock();
  return answer;
}

EXPORT int mkdir(const char *path, mode_t mode) {
  return mkdirat(AT_FDCWD, path, mode);
}

EXPORT int symlinkat(const char *target, int directory, const char *path) {
  REAL(symlinkat);
  char name[PATH_MAX];
  int answer = real(target, directory, path);
  if (answer == 0 && place(directory, path, name)) {
    lock();
    tell((struct head){.operation = OTHER}, name, target, NULL);
    unlock();
  }
  return answer;
}

EXPORT int symlink(const char *target, const char *path) {
  return symlinkat(target, AT_FDCWD, path);
}

EXPORT int fchmodat(int directory, const char *path, mode_t mode, int flags) {
  char name[PATH_MAX];
  if (!place(directory, path, name)) return real_fchmodat(directory, path, mode, flags);
  struct stat file;
  lock();
  int answer = refuses_name(0) ? -1 : real_fchmodat(directory, path, mode, flags);
  if (answer == 0 && fstatat(directory, path, &file, 0) == 0 && is_kept(file.st_mode)) {
    tell((struct head){.operation = CHMOD, .inode = file.st_ino, .mode = file.st_mode & 07777}, NULL, NULL, NULL);
  }
  unlock();
  return answer;
}

EXPORT int chmod(const char *path, mode_t mode) {
  return fchmodat(AT_FDCWD, path, mode, 0);
}

EXPORT int fchmod(int fd, mode_t mode) {
  REAL(fchmod);
  uint64_t inode = inode_at(fd);
  if (inode == 0) return real(fd, mode);
  lock();
  int answer = refuses_name(0) ? -1 : real(fd, mode);
  if (answer == 0) tell((struct head){.operation = CHMOD, .inode = inode, .mode = mode & 07777}, NULL, NULL, NULL);
  unlock();
  return answer;
}

/* ---- fsync ---- */

static void told_synced(enum operation operation, uint64_t inode, uint64_t number) {
  if (atomic_load(&control->lies)) return;
  lock();
  tell((struct head){.operation = operation, .inode = inode, .number = number}, NULL, NULL, NULL);
  unlock();
}

static void stay(uint64_t us) {
  struct timespec left = {us / 1000000, us % 1000000 * 1000};
  while (nanosleep(&left, &left) < 0 && errno == EINTR);
}

/* Somewhere between what the controls say (splitmix64). */
static uint64_t duration_us(void) {
  uint64_t least = atomic_load(&control->sync_least_us), most = atomic_load(&control->sync_most_us);
  if (most <= least) return least;
  uint64_t x = atomic_fetch_add(&control->chance, 0x9e3779b97f4a7c15u);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return least + (x ^ (x >> 31)) % (most - least + 1);
}

/* One that takes its time makes durable what was there when it began, and only when it ends. */
static int sync_it(int fd, uint64_t inode) {
  uint64_t number = atomic_fetch_add(&control->syncs, 1) + 1, us = duration_us();
  if (us > 0) {
    told_synced(SYNC_BEGIN, inode, number);
    stay(us);
  }
  if (fails(&control->sync_errno)) {
    int error = errno;
    told_synced(SYNC_FAILED, inode, number);
    errno = error;
    return -1;
  }
  if (log_capacity == 0) return real_fsync(fd);
  told_synced(us > 0 ? SYNC_END : SYNC, inode, number);
  return 0;
}

EXPORT int fsync(int fd) {
  uint64_t inode = inode_at(fd);
  return inode == 0 ? real_fsync(fd) : sync_it(fd, inode);
}

EXPORT int fdatasync(int fd) {
  return fsync(fd);
}
