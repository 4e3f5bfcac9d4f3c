/* The sink: takes everything from one connection and says how fast it came, from the first byte to the last. With
 * --truncate the kernel throws the bytes away instead of copying them (MSG_TRUNC, tcp(7)), so that the sink costs next
 * to nothing.   cc -O2 -Wall -Wextra -o sink sink.c */
#include "common.h"

int main(int argc, char **argv) {
    static const char *const names[] = {"--port=", "--lines", "--truncate", NULL};
    check_arguments(argc, argv, names, "sink [--port N] [--lines | --truncate]");
    bool lines_wanted = has_flag(argc, argv, "--lines"), truncate = has_flag(argc, argv, "--truncate");
    if (lines_wanted && truncate) {
        fprintf(stderr, "sink: what is truncated cannot be counted: --lines or --truncate\n");
        return 2;
    }
    char *buffer = memory(READ_BYTES);
    int fd = accept_one((int)number_of(argc, argv, "--port", 0));
    uint64_t bytes = 0, lines = 0;
    size_t got;
    double began = 0, ended = 0;
    while ((got = read_some(fd, buffer, READ_BYTES, truncate ? MSG_TRUNC : 0)) > 0) {
        if (began == 0) began = now();
        if (lines_wanted) lines += count_lines(buffer, got);
        bytes += got;
        ended = now();
    }
    printf("{\"bytes\":%llu,\"lines\":%llu,\"seconds\":%.6f,\"cpu_seconds\":%.6f}\n", (unsigned long long)bytes,
           (unsigned long long)lines, ended - began, cpu_seconds());
    return 0;
}
