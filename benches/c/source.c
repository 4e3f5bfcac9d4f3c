/* The source: writes prepared lines as fast as the peer takes them.   cc -O2 -Wall -Wextra -o source source.c */
#include "common.h"

#define BUFFER_BYTES (1 << 20)

/* Whole lines only, as many as fit; returns their bytes. */
static size_t fill(char *buffer, size_t line_bytes) {
    size_t bytes = 0;
    for (; bytes + line_bytes <= BUFFER_BYTES; bytes += line_bytes) {
        memset(buffer + bytes, 'a' + (int)(bytes / line_bytes % 26), line_bytes - 1);
        buffer[bytes + line_bytes - 1] = '\n';
    }
    return bytes;
}

int main(int argc, char **argv) {
    static const char *const names[] = {"--connect=", "--port=", "--bytes=", "--seconds=", "--line-bytes=", NULL};
    check_arguments(argc, argv, names,
                    "source {--connect PORT | [--port N]} {--bytes N | --seconds N} [--line-bytes 100]");
    double most_bytes = number_of(argc, argv, "--bytes", 0), most_seconds = number_of(argc, argv, "--seconds", 0);
    size_t line_bytes = (size_t)number_of(argc, argv, "--line-bytes", 100);
    if ((most_bytes == 0 && most_seconds == 0) || line_bytes < 2 || line_bytes > BUFFER_BYTES) {
        fprintf(stderr, "source: need --bytes or --seconds, and 2 <= --line-bytes <= %d\n", BUFFER_BYTES);
        return 2;
    }
    char *buffer = memory(BUFFER_BYTES);
    size_t block = fill(buffer, line_bytes);
    int destination = (int)number_of(argc, argv, "--connect", 0);
    int fd = destination ? connect_to(destination) : accept_one((int)number_of(argc, argv, "--port", 0));

    uint64_t bytes = 0, whole = most_bytes > 0 ? (uint64_t)most_bytes / line_bytes * line_bytes : UINT64_MAX;
    double began = now();
    while (bytes < whole && (most_seconds == 0 || now() - began < most_seconds)) {
        size_t next = whole - bytes < block ? (size_t)(whole - bytes) : block;
        if (!write_all(fd, buffer, next)) fail("the peer has gone");
        bytes += next;
    }
    double seconds = now() - began;
    close(fd);
    printf("{\"bytes\":%llu,\"lines\":%llu,\"seconds\":%.6f,\"cpu_seconds\":%.6f}\n", (unsigned long long)bytes,
           (unsigned long long)(bytes / line_bytes), seconds, cpu_seconds());
    return 0;
}
