/* The append: the yardstick of the spill store. Writes one commit, then fdatasync(2), and so on; the file is new, is
 * not reserved beforehand, and is removed afterwards.   cc -O2 -Wall -Wextra -o append append.c */
#include "common.h"
#include <fcntl.h>

int main(int argc, char **argv) {
    static const char *const names[] = {"--file=", "--bytes=", "--commit-bytes=", "--keep", NULL};
    const char *usage = "append --file PATH --bytes N [--commit-bytes 16777216] [--keep]";
    check_arguments(argc, argv, names, usage);
    const char *path = text_of(argc, argv, "--file");
    uint64_t most = (uint64_t)number_of(argc, argv, "--bytes", 0);
    size_t commit = (size_t)number_of(argc, argv, "--commit-bytes", 16 << 20);
    if (path == NULL || most == 0 || commit == 0) {
        fprintf(stderr, "usage: %s\n", usage);
        return 2;
    }
    char *buffer = memory(commit);
    memset(buffer, 'a', commit);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);
    if (fd < 0) fail(path);
    uint64_t bytes = 0, commits = 0;
    double began = now();
    for (; bytes < most; commits++) {
        for (size_t at = 0; at < commit;) {
            ssize_t written = write(fd, buffer + at, commit - at);
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) fail("write");
            at += (size_t)written;
        }
        if (fdatasync(fd) < 0) fail("fdatasync");
        bytes += commit;
    }
    double seconds = now() - began;
    close(fd);
    if (!has_flag(argc, argv, "--keep")) unlink(path);
    printf("{\"bytes\":%llu,\"commits\":%llu,\"seconds\":%.6f,\"megabytes_per_second\":%.1f,\"cpu_seconds\":%.6f}\n",
           (unsigned long long)bytes, (unsigned long long)commits, seconds, (double)bytes / seconds / 1e6, cpu_seconds());
    return 0;
}
