/*
 * Loss of power, as a model: a library that is preloaded into a service.
 *
 * What is written to files under POWER_LOSS_UNDER counts as being in the machine's memory until its file is synced with
 * fsync or fdatasync (sync_file_range promises nothing and does not count); names that are made, changed or removed
 * count so until their directory is synced. At the POWER_LOSS_AT-th operation the power fails: of every 4 KiB page that
 * is not synced the disk has what it had before or any of the versions written since, a file's length is the old one or
 * the new one or lies between, and of the changes of names the last few have not happened; which, is drawn with
 * POWER_LOSS_SEED. Then the process ends with code 99.
 *
 * POWER_LOSS_SPARE is a folder on the same file system, where removed files are kept until their removal is synced.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

struct page {
    off_t number;
    char durable[PAGE];
    char (*versions)[PAGE];
    size_t count;
    struct page *next;
};

struct file {
    dev_t device;
    ino_t inode;
    int fd;
    off_t durable_size;
    struct page *pages;
    struct file *next;
};

enum kind { CREATED, DIRECTORY, RENAMED, REMOVED };

struct change {
    enum kind kind;
    char from[PATH_MAX], to[PATH_MAX], spare[PATH_MAX];
    dev_t device;
    ino_t directory;
    struct change *before;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;
static struct change *latest;
static unsigned long operations, spares, syncs;
static unsigned long long chance;

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static const char *under(void) { return getenv("POWER_LOSS_UNDER"); }

static int is_under(const char *path) {
    const char *folder = under();
    if (!folder || !path) return 0;
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static unsigned long draw(unsigned long below) {
    chance += 0x9e3779b97f4a7c15ULL;
    unsigned long long z = chance;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (z ^ (z >> 31)) % below;
}

static void *need(void *memory) {
    if (!memory) abort();
    return memory;
}

/* ---- files ---- */

static struct file *known(int fd) {
    struct stat status;
    if (!files || fstat(fd, &status) || !S_ISREG(status.st_mode)) return NULL;
    for (struct file *file = files; file; file = file->next)
        if (file->device == status.st_dev && file->inode == status.st_ino) return file;
    return NULL;
}

static off_t size_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : status.st_size;
}

static void watch(const char *path) {
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    struct stat status;
    if (fd < 0) return;
    if (fstat(fd, &status) || !S_ISREG(status.st_mode) || known(fd)) {
        syscall(SYS_close, fd);
        return;
    }
    struct file *file = need(calloc(1, sizeof *file));
    *file = (struct file){status.st_dev, status.st_ino, fd, status.st_size, NULL, files};
    files = file;
}

static void read_page(int fd, off_t number, char *into) {
    memset(into, 0, PAGE);
    ssize_t got = syscall(SYS_pread64, fd, into, PAGE, number * PAGE);
    (void)got;
}

static struct page *page_of(struct file *file, off_t number) {
    for (struct page *page = file->pages; page; page = page->next)
        if (page->number == number) return page;
    struct page *page = need(calloc(1, sizeof *page));
    page->number = number;
    read_page(file->fd, number, page->durable);
    page->next = file->pages;
    file->pages = page;
    return page;
}

/* Before and after a change of the bytes from `start` up to `end`. */
static void before(struct file *file, off_t start, off_t end) {
    for (off_t number = start / PAGE; number * PAGE < end; number++) page_of(file, number);
}

static void after(struct file *file, off_t start, off_t end) {
    for (off_t number = start / PAGE; number * PAGE < end; number++) {
        struct page *page = page_of(file, number);
        page->versions = need(realloc(page->versions, (page->count + 1) * PAGE));
        read_page(file->fd, number, page->versions[page->count++]);
    }
}

static void synced(struct file *file) {
    while (file->pages) {
        struct page *page = file->pages;
        file->pages = page->next;
        free(page->versions);
        free(page);
    }
    file->durable_size = size_of(file->fd);
}

/* ---- directories ---- */

static void parent_of(const char *path, struct stat *status) {
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash) *slash = 0;
    if (stat(parent, status)) memset(status, 0, sizeof *status);
}

static void keep(const char *path, char *spare) {
    snprintf(spare, PATH_MAX, "%s/%d-%lu", getenv("POWER_LOSS_SPARE"), getpid(), spares++);
    if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, spare, 0)) *spare = 0;
}

static struct change *change_of(enum kind kind, const char *from, const char *to) {
    struct change *change = need(calloc(1, sizeof *change));
    struct stat parent;
    change->kind = kind;
    snprintf(change->from, PATH_MAX, "%s", from);
    snprintf(change->to, PATH_MAX, "%s", to);
    parent_of(to, &parent);
    change->device = parent.st_dev;
    change->directory = parent.st_ino;
    return change;
}

static void happened(struct change *change) {
    change->before = latest;
    latest = change;
}

static void directory_synced(const struct stat *status) {
    for (struct change **link = &latest; *link;) {
        struct change *change = *link;
        if (change->device == status->st_dev && change->directory == status->st_ino) {
            if (*change->spare) syscall(SYS_unlinkat, AT_FDCWD, change->spare, 0);
            *link = change->before;
            free(change);
        } else {
            link = &change->before;
        }
    }
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *where) {
    (void)status, (void)where;
    syscall(SYS_unlinkat, AT_FDCWD, path, flag == FTW_DP ? AT_REMOVEDIR : 0);
    return 0;
}

static void undo(const struct change *change) {
    switch (change->kind) {
    case CREATED:
        syscall(SYS_unlinkat, AT_FDCWD, change->to, 0);
        break;
    case DIRECTORY:
        nftw(change->to, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        break;
    case RENAMED:
        syscall(SYS_renameat, AT_FDCWD, change->to, AT_FDCWD, change->from);
        if (*change->spare) syscall(SYS_renameat, AT_FDCWD, change->spare, AT_FDCWD, change->to);
        break;
    case REMOVED:
        if (*change->spare) syscall(SYS_renameat, AT_FDCWD, change->spare, AT_FDCWD, change->to);
        break;
    }
}

/* ---- the end ---- */

static void lose_power(void) {
    unsigned long pages = 0, lost = 0, undone = 0;
    for (struct file *file = files; file; file = file->next) {
        off_t now = size_of(file->fd), size = now;
        switch (draw(3)) {
        case 0: size = file->durable_size; break;
        case 1: size = now; break;
        default: {
            off_t low = now < file->durable_size ? now : file->durable_size;
            off_t high = now < file->durable_size ? file->durable_size : now;
            size = (low + (off_t)draw(high - low + 1)) / PAGE * PAGE;
            if (size < low) size = low;
        }
        }
        for (struct page *page = file->pages; page; page = page->next) {
            unsigned long which = draw(page->count + 1);
            const char *content = which ? page->versions[which - 1] : page->durable;
            pages++;
            lost += which != page->count;
            ssize_t put = syscall(SYS_pwrite64, file->fd, content, PAGE, page->number * PAGE);
            (void)put;
        }
        syscall(SYS_ftruncate, file->fd, size);
    }
    /* Changes of names happen in their order: the last few have not happened. */
    unsigned long changes = 0;
    for (struct change *change = latest; change; change = change->before) changes++;
    undone = draw(changes + 1);
    unsigned long left = undone;
    for (struct change *change = latest; left; change = change->before, left--) undo(change);
    char line[200];
    int length = snprintf(line, sizeof line, "power lost at operation %lu after %lu syncs: %lu of %lu pages, %lu names\n",
                          operations, syncs, lost, pages, undone);
    ssize_t put = syscall(SYS_write, 2, line, length);
    (void)put;
    syscall(SYS_exit_group, 99);
}

/* Counts an operation; the mutex is held. */
static void count(void) {
    const char *at = getenv("POWER_LOSS_AT");
    if (operations == 0) chance = strtoull(getenv("POWER_LOSS_SEED") ?: "1", NULL, 10);
    if (++operations == strtoul(at ?: "0", NULL, 10)) lose_power();
}

#define LOCKED(body) pthread_mutex_lock(&mutex); body; int error = errno; pthread_mutex_unlock(&mutex); errno = error

/* ---- what programs call ---- */

static int opened(int directory, const char *path, int flags, mode_t mode) {
    if (!is_under(path) || (flags & O_ACCMODE) == O_RDONLY)
        return syscall(SYS_openat, directory, path, flags, mode);
    int fd;
    LOCKED({
        int fresh = (flags & O_CREAT) && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW);
        struct file *file = NULL;
        off_t end = 0;
        if (fresh || (flags & O_TRUNC)) count();
        if (!fresh) watch(path);
        if (flags & O_TRUNC) {
            int look = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
            if (look >= 0) {
                file = known(look);
                end = size_of(look);
                syscall(SYS_close, look);
            }
            if (file) before(file, 0, end);
        }
        fd = syscall(SYS_openat, directory, path, flags, mode);
        if (fd >= 0 && file) after(file, 0, end);
        if (fd >= 0 && fresh) {
            happened(change_of(CREATED, "", path));
            watch(path);
        }
    });
    return fd;
}

#define MODE(flags) ({ mode_t mode = 0; if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list list; va_start(list, flags); \
    mode = va_arg(list, mode_t); va_end(list); } mode; })

int open(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE(flags)); }
int open64(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE(flags)); }
int openat(int at, const char *path, int flags, ...) { return opened(at, path, flags, MODE(flags)); }
int openat64(int at, const char *path, int flags, ...) { return opened(at, path, flags, MODE(flags)); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* A change of the bytes from `start` on for `length` bytes by the call `change`. */
#define CHANGE(file, start, length, change) do { \
    off_t from = (start), to = from + (off_t)(length); \
    count(); before(file, from, to); result = (change); after(file, from, to); \
} while (0)

static off_t position(int fd) {
    if (fcntl(fd, F_GETFL) & O_APPEND) return size_of(fd);
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at < 0 ? 0 : at;
}

static size_t total(const struct iovec *parts, int count) {
    size_t sum = 0;
    for (int i = 0; i < count; i++) sum += parts[i].iov_len;
    return sum;
}

#define ON_FILE(type, name, parameters, arguments, start, length, ...) \
    type name parameters { \
        REAL(type, name, __VA_ARGS__); \
        type result = 0; \
        if (!under()) return real arguments; \
        pthread_mutex_lock(&mutex); \
        struct file *file = known(fd); \
        if (!file) { pthread_mutex_unlock(&mutex); return real arguments; } \
        CHANGE(file, start, length, real arguments); \
        int error = errno; pthread_mutex_unlock(&mutex); errno = error; \
        return result; \
    }

ON_FILE(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n), position(fd), n, int, const void *, size_t)
ON_FILE(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), position(fd), total(v, n),
        int, const struct iovec *, int)
ON_FILE(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), at, n,
        int, const void *, size_t, off_t)
ON_FILE(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at), at, n,
        int, const void *, size_t, off64_t)
ON_FILE(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), at, total(v, n),
        int, const struct iovec *, int, off_t)
ON_FILE(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at), at, total(v, n),
        int, const struct iovec *, int, off64_t)

static off_t lower(off_t a, off_t b) { return a < b ? a : b; }
static off_t gap(off_t a, off_t b) { return a < b ? b - a : a - b; }

ON_FILE(int, ftruncate, (int fd, off_t size), (fd, size), lower(size, size_of(fd)), gap(size, size_of(fd)), int, off_t)
ON_FILE(int, ftruncate64, (int fd, off64_t size), (fd, size), lower(size, size_of(fd)), gap(size, size_of(fd)),
        int, off64_t)
ON_FILE(int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n), at, n, int, int, off_t, off_t)
ON_FILE(int, fallocate64, (int fd, int mode, off64_t at, off64_t n), (fd, mode, at, n), at, n, int, int, off64_t, off64_t)
ON_FILE(int, posix_fallocate, (int fd, off_t at, off_t n), (fd, at, n), at, n, int, off_t, off_t)

static int sync_of(int fd) {
    struct stat status;
    LOCKED({
        struct file *file = known(fd);
        if (file) {
            count();
            synced(file);
            syncs++;
        } else if (!fstat(fd, &status) && S_ISDIR(status.st_mode)) {
            count();
            directory_synced(&status);
        }
    });
    return 0;
}

int fsync(int fd) { return sync_of(fd); }
int fdatasync(int fd) { return sync_of(fd); }

static int renamed(const char *from, const char *to, unsigned flags) {
    if (!is_under(to) && !is_under(from)) return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
    int result;
    LOCKED({
        count();
        struct change *change = change_of(RENAMED, from, to);
        keep(to, change->spare);
        result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
        if (result) free(change); else happened(change);
    });
    return result;
}

int rename(const char *from, const char *to) { return renamed(from, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { (void)a, (void)b; return renamed(from, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    (void)a, (void)b;
    return renamed(from, to, flags);
}

int unlink(const char *path) {
    if (!is_under(path)) return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int result;
    LOCKED({
        count();
        struct change *change = change_of(REMOVED, "", path);
        keep(path, change->spare);
        result = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
        if (result) free(change); else happened(change);
    });
    return result;
}

int mkdir(const char *path, mode_t mode) {
    if (!is_under(path)) return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    int result;
    LOCKED({
        count();
        result = syscall(SYS_mkdirat, AT_FDCWD, path, mode);
        if (!result) happened(change_of(DIRECTORY, "", path));
    });
    return result;
}
