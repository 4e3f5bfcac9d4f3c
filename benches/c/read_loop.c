/* The read loop: the yardstick of a reader with framing. Reads 256 KiB at a time and, with --lines, finds every newline
 * with memchr.   cc -O2 -Wall -Wextra -o read_loop read_loop.c */
#include "common.h"

int main(int argc, char **argv) {
    static const char *const names[] = {"--port=", "--connect=", "--lines", NULL};
    check_arguments(argc, argv, names, "read_loop {--connect PORT | [--port N]} [--lines]");
    bool lines_wanted = has_flag(argc, argv, "--lines");
    char *buffer = memory(READ_BYTES);
    int origin = (int)number_of(argc, argv, "--connect", 0);
    int fd = origin ? connect_to(origin) : accept_one((int)number_of(argc, argv, "--port", 0));
    uint64_t bytes = 0, lines = 0, reads = 0;
    size_t got;
    double began = 0, ended = 0;
    for (; (got = read_some(fd, buffer, READ_BYTES, 0)) > 0; reads++) {
        if (began == 0) began = now();
        if (lines_wanted) lines += count_lines(buffer, got);
        bytes += got;
        ended = now();
    }
    printf("{\"bytes\":%llu,\"lines\":%llu,\"reads\":%llu,\"seconds\":%.6f,\"cpu_seconds\":%.6f}\n",
           (unsigned long long)bytes, (unsigned long long)lines, (unsigned long long)reads, ended - began,
           cpu_seconds());
    return 0;
}
