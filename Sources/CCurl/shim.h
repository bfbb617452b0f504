#pragma once
#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* curl_easy_setopt, curl_easy_getinfo and curl_multi_setopt are variadic, which Swift cannot call:
   one wrapper for each type of argument. Results may not be dropped. */
#define CCURL static inline __attribute__((warn_unused_result))

CCURL CURLcode ccurl_setopt_long(CURL *easy, CURLoption option, long value) { return curl_easy_setopt(easy, option, value); }
CCURL CURLcode ccurl_setopt_string(CURL *easy, CURLoption option, const char *value) { return curl_easy_setopt(easy, option, value); }
CCURL CURLcode ccurl_setopt_pointer(CURL *easy, CURLoption option, void *value) { return curl_easy_setopt(easy, option, value); }
CCURL CURLcode ccurl_setopt_list(CURL *easy, CURLoption option, struct curl_slist *value) { return curl_easy_setopt(easy, option, value); }
CCURL CURLcode ccurl_setopt_offset(CURL *easy, CURLoption option, curl_off_t value) { return curl_easy_setopt(easy, option, value); }
CCURL CURLcode ccurl_setopt_write(CURL *easy, CURLoption option, size_t (*value)(char *, size_t, size_t, void *)) { return curl_easy_setopt(easy, option, value); }
CCURL CURLcode ccurl_setopt_prereq(CURL *easy, CURLoption option, int (*value)(void *, char *, char *, int, int)) { return curl_easy_setopt(easy, option, value); }
CCURL CURLcode ccurl_setopt_opensocket(CURL *easy, CURLoption option, curl_socket_t (*value)(void *, curlsocktype, struct curl_sockaddr *)) { return curl_easy_setopt(easy, option, value); }
CCURL CURLcode ccurl_getinfo_long(CURL *easy, CURLINFO info, long *value) { return curl_easy_getinfo(easy, info, value); }
CCURL CURLcode ccurl_getinfo_pointer(CURL *easy, CURLINFO info, void **value) { return curl_easy_getinfo(easy, info, value); }
CCURL CURLcode ccurl_getinfo_string(CURL *easy, CURLINFO info, const char **value) { return curl_easy_getinfo(easy, info, value); }
CCURL CURLcode ccurl_getinfo_double(CURL *easy, CURLINFO info, double *value) { return curl_easy_getinfo(easy, info, value); }
CCURL CURLMcode ccurl_multi_setopt_long(CURLM *multi, CURLMoption option, long value) { return curl_multi_setopt(multi, option, value); }

/* The same functions as libcurl's own, whose results Swift would let fall in silence. */
CCURL CURLcode ccurl_global_init(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }
CCURL CURLMcode ccurl_multi_add(CURLM *multi, CURL *easy) { return curl_multi_add_handle(multi, easy); }
CCURL CURLMcode ccurl_multi_remove(CURLM *multi, CURL *easy) { return curl_multi_remove_handle(multi, easy); }
CCURL CURLMcode ccurl_multi_perform(CURLM *multi, int *running) { return curl_multi_perform(multi, running); }
CCURL CURLMcode ccurl_multi_poll(CURLM *multi, int milliseconds) { return curl_multi_poll(multi, NULL, 0, milliseconds, NULL); }
CCURL CURLMcode ccurl_multi_wakeup(CURLM *multi) { return curl_multi_wakeup(multi); }
CCURL CURLMcode ccurl_multi_cleanup(CURLM *multi) { return curl_multi_cleanup(multi); }

/* curl_sockaddr ends in storage that is longer than its type says. Copies the address in network order to `bytes` (16)
   and returns its length; 0 for a family that is neither of the two. */
CCURL int ccurl_address(const struct curl_sockaddr *address, unsigned char *bytes) {
    if (address->family == AF_INET) { memcpy(bytes, &((const struct sockaddr_in *)&address->addr)->sin_addr, 4); return 4; }
    if (address->family == AF_INET6) { memcpy(bytes, &((const struct sockaddr_in6 *)&address->addr)->sin6_addr, 16); return 16; }
    return 0;
}
CCURL curl_socket_t ccurl_socket(const struct curl_sockaddr *address) {
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* CURLMsg.data is a union; only this member is defined for CURLMSG_DONE. */
CCURL CURLcode ccurl_message_result(const CURLMsg *message) { return message->data.result; }
