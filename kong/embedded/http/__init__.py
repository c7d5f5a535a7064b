"""nginx: connections and TLS, request heads and bodies, the request itself, upstreams, error pages.

Stands for nginx's HTTP core and the variables of ngx_http_request_t; knows no Kong beyond the request's context.
"""
