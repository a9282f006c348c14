// Fails the N-th storage call of a program, whichever library or raw system call makes it.
//
//   inject MODE N TIMES DIRECTORY LOG -- PROGRAM ARGUMENTS
//
// The program runs under a seccomp filter that hands its storage calls to this process. Those on files below DIRECTORY to
// which MODE applies are counted, and written to LOG as "NUMBER CALL PATH"; number N and the TIMES - 1 after it fail.
// N = 0 only counts. Modes: `io` (EIO from any call), `sync` (EIO from the syncs), `space` (ENOSPC), `short` (half of a
// write is done), `files` (EMFILE from opens), `read` (EIO from reads).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITE = 1, CREATE = 2, OPEN = 4, SYNC = 8, REMOVE = 16, READ = 32 };
enum where { FD, PATH, AT };

static const struct call {
    int number;
    const char *name;
    int kind;
    enum where where; // which argument names the file
} calls[] = {
    {SYS_write, "write", WRITE, FD},
    {SYS_pwrite64, "pwrite", WRITE, FD},
    {SYS_writev, "writev", WRITE, FD},
    {SYS_pwritev, "pwritev", WRITE, FD},
    {SYS_pwritev2, "pwritev2", WRITE, FD},
    {SYS_ftruncate, "ftruncate", CREATE, FD},
    {SYS_fallocate, "fallocate", CREATE, FD},
    {SYS_copy_file_range, "copy_file_range", CREATE, FD},
    {SYS_fsync, "fsync", SYNC, FD},
    {SYS_fdatasync, "fdatasync", SYNC, FD},
    {SYS_syncfs, "syncfs", SYNC, FD},
    {SYS_sync_file_range, "sync_file_range", SYNC, FD},
    {SYS_read, "read", READ, FD},
    {SYS_pread64, "pread", READ, FD},
    {SYS_readv, "readv", READ, FD},
    {SYS_preadv, "preadv", READ, FD},
    {SYS_getdents64, "getdents", READ, FD},
    {SYS_open, "open", OPEN, PATH},
    {SYS_openat, "openat", OPEN, AT},
    {SYS_openat2, "openat2", OPEN, AT},
    {SYS_mkdir, "mkdir", CREATE, PATH},
    {SYS_mkdirat, "mkdirat", CREATE, AT},
    {SYS_rename, "rename", CREATE, PATH},
    {SYS_renameat, "renameat", CREATE, AT},
    {SYS_renameat2, "renameat2", CREATE, AT},
    {SYS_link, "link", CREATE, PATH},
    {SYS_linkat, "linkat", CREATE, AT},
    {SYS_unlink, "unlink", REMOVE, PATH},
    {SYS_unlinkat, "unlinkat", REMOVE, AT},
    {SYS_rmdir, "rmdir", REMOVE, PATH},
};
enum { CALLS = sizeof calls / sizeof *calls };

static void die(const char *what) {
    fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
    exit(125);
}

// Sends the listener from the child to its parent.
static void send_fd(int socket, int fd) {
    char byte = 0, room[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    *control = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(control), &fd, sizeof fd);
    if (sendmsg(socket, &message, 0) != 1) die("sendmsg");
}

static int receive_fd(int socket) {
    int fd;
    char byte, room[CMSG_SPACE(sizeof fd)];
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    if (recvmsg(socket, &message, 0) != 1 || !CMSG_FIRSTHDR(&message)) return -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

static void run(int socket, char **arguments) {
    struct sock_filter filter[CALLS + 8];
    int at = 0;
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < CALLS; i++)
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, CALLS - i, 0);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    struct sock_fprog program = {at, filter};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("prctl");
    int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0) die("seccomp");
    send_fd(socket, listener);
    close(listener);
    close(socket);
    execvp(arguments[0], arguments);
    die(arguments[0]);
}

static void path_of_fd(pid_t pid, long fd, char *path, size_t room) {
    char name[64];
    if ((int)fd == AT_FDCWD) snprintf(name, sizeof name, "/proc/%d/cwd", pid);
    else snprintf(name, sizeof name, "/proc/%d/fd/%d", pid, (int)fd);
    ssize_t length = readlink(name, path, room - 1);
    path[length < 0 ? 0 : length] = 0;
}

// Reads a string that may end anywhere in its page.
static void read_string(pid_t pid, unsigned long address, char *text, size_t room) {
    size_t have = 0;
    while (have < room - 1) {
        size_t step = 4096 - (address + have) % 4096;
        if (step > room - 1 - have) step = room - 1 - have;
        struct iovec here = {text + have, step}, there = {(void *)(address + have), step};
        ssize_t count = process_vm_readv(pid, &here, 1, &there, 1, 0);
        if (count <= 0) break;
        if (memchr(text + have, 0, count)) return;
        have += count;
    }
    text[have] = 0;
}

static void find_path(const struct seccomp_notif *request, const struct call *call, char *path, size_t room) {
    const unsigned long long *arguments = (const unsigned long long *)request->data.args;
    if (call->where == FD) {
        path_of_fd(request->pid, call->number == SYS_copy_file_range ? arguments[2] : arguments[0], path, room);
        return;
    }
    char given[4096];
    read_string(request->pid, arguments[call->where == AT], given, sizeof given);
    if (given[0] == '/') {
        snprintf(path, room, "%s", given);
        return;
    }
    char directory[4096];
    path_of_fd(request->pid, call->where == AT ? (long)arguments[0] : AT_FDCWD, directory, sizeof directory);
    snprintf(path, room, "%.4000s/%.4000s", directory, given);
}

static int creates(const struct seccomp_notif *request, const struct call *call) {
    if (call->kind & (WRITE | CREATE)) return 1;
    return call->number == SYS_openat && request->data.args[2] & O_CREAT;
}

static int applies(const char *mode, const struct seccomp_notif *request, const struct call *call) {
    if (!strcmp(mode, "io")) return !(call->kind & READ);
    if (!strcmp(mode, "sync")) return call->kind == SYNC;
    if (!strcmp(mode, "space")) return creates(request, call);
    if (!strcmp(mode, "short")) return call->number == SYS_write || call->number == SYS_pwrite64;
    if (!strcmp(mode, "files")) return call->kind == OPEN;
    return call->kind == READ;
}

// Does the first half of a write in the program's place. Returns the bytes written, or -1 if there is no half.
static long half_a_write(pid_t child, const struct seccomp_notif *request) {
    size_t length = request->data.args[2];
    int pidfd = syscall(SYS_pidfd_open, child, 0);
    int fd = syscall(SYS_pidfd_getfd, pidfd, (int)request->data.args[0], 0);
    close(pidfd);
    if (fd < 0) return -1;
    size_t half = length / 2;
    if (fcntl(fd, F_GETFL) & O_DIRECT) half &= ~(size_t)4095;
    void *buffer;
    long done = -1;
    if (half && !posix_memalign(&buffer, 4096, half)) {
        struct iovec here = {buffer, half}, there = {(void *)request->data.args[1], half};
        if (process_vm_readv(request->pid, &here, 1, &there, 1, 0) == (ssize_t)half)
            done = request->data.nr == SYS_write ? write(fd, buffer, half)
                                                 : pwrite(fd, buffer, half, request->data.args[3]);
        free(buffer);
    }
    close(fd);
    return done;
}

static pid_t child;

static void pass_on(int signal) {
    kill(child, signal);
}

int main(int count, char **arguments) {
    if (count < 8) {
        fprintf(stderr, "usage: inject MODE N TIMES DIRECTORY LOG -- PROGRAM ARGUMENTS\n");
        return 125;
    }
    const char *mode = arguments[1], *directory = arguments[4];
    long first = atol(arguments[2]), times = atol(arguments[3]), number = 0;
    FILE *log = fopen(arguments[5], "we");
    if (!log) die(arguments[5]);
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets)) die("socketpair");
    child = fork();
    if (child < 0) die("fork");
    if (!child) run(sockets[1], arguments + 7);
    close(sockets[1]);
    close(STDOUT_FILENO); // so that a reader of the program's output sees its end
    signal(SIGTERM, pass_on);
    signal(SIGINT, pass_on);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int listener = receive_fd(sockets[0]);
    while (listener >= 0) {
        struct pollfd ready = {listener, POLLIN, 0};
        if (poll(&ready, 1, -1) < 0) {
            if (errno == EINTR) continue;
            break;
        }
        if (!(ready.revents & POLLIN)) break; // the last process under the filter has ended
        struct seccomp_notif request = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request)) continue;
        struct seccomp_notif_resp response = {.id = request.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        const struct call *call = calls;
        while (call->number != request.data.nr) call++;
        char path[8192];
        if (applies(mode, &request, call)) {
            find_path(&request, call, path, sizeof path);
            size_t length = strlen(directory);
            if (!strncmp(path, directory, length) && (path[length] == '/' || !path[length])) {
                number++;
                int fails = first && number >= first && number < first + times;
                fprintf(log, "%ld %s %s%s\n", number, call->name, path + length, fails ? " FAILED" : "");
                fflush(log);
                if (fails && !strcmp(mode, "short")) {
                    long done = half_a_write(child, &request);
                    if (done >= 0) response = (struct seccomp_notif_resp){.id = request.id, .val = done};
                } else if (fails) {
                    int error = !strcmp(mode, "space") ? ENOSPC : !strcmp(mode, "files") ? EMFILE : EIO;
                    response = (struct seccomp_notif_resp){.id = request.id, .error = -error};
                }
            }
        }
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    }
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
    return WEXITSTATUS(status);
}
