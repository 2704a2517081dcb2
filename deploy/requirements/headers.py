"""What a package that is compiled on the host needs from apt, by what its failed build prints. Pure.

The names are those of Debian 12 and 13; most packages need none of it, for an index has wheels of them.
"""

from __future__ import annotations

HINTS = (
    (r"No such file or directory: '[^']*(gcc|cc|c\+\+|g\+\+)'", "build-essential python3-dev"),
    (r"error: command '[^']*(gcc|cc|g\+\+|c\+\+)' failed: No such file", "build-essential python3-dev"),
    (
        r"(gcc|cc|g\+\+|x86_64-linux-gnu-gcc|aarch64-linux-gnu-gcc): (command )?not found",
        "build-essential python3-dev",
    ),
    (r"unable to execute '?[^ ]*(gcc|cc|g\+\+)'?", "build-essential python3-dev"),
    (
        r"(no acceptable C compiler|C compiler cannot|Unknown compiler\(s\)|CMAKE_C(XX)?_COMPILER)",
        "build-essential python3-dev",
    ),
    (r"limits\.h: No such file|stdlib\.h: No such file|crt1\.o", "build-essential"),
    (r"Python\.h: No such file", "python3-dev"),
    (r"pg_config (executable )?not found|libpq-fe\.h: No such file", "libpq-dev build-essential python3-dev"),
    (
        r"mysql_config: not found|Can not find valid pkg-config name|mysql\.h: No such file",
        "default-libmysqlclient-dev pkg-config build-essential python3-dev",
    ),
    (r"(pkg-config|pkgconf)[^a-z]*(not found|: No such file|is not installed)", "pkg-config"),
    (r"ffi\.h: No such file", "libffi-dev"),
    (r"openssl/[a-z0-9]+\.h: No such file|find OpenSSL", "libssl-dev"),
    (r"(libxml/[a-z]+\.h: No such file|xml2-config|libxml2 and libxslt)", "libxml2-dev libxslt1-dev"),
    (r"xmlsec1? (.*not found|.*pkg-config)|xmlsec/[a-z]+\.h: No such file", "libxmlsec1-dev pkg-config"),
    (r"zlib\.h: No such file|RequiredDependencyException: zlib", "zlib1g-dev"),
    (r"jpeglib\.h: No such file|RequiredDependencyException: jpeg", "libjpeg-dev zlib1g-dev"),
    (r"lber\.h: No such file|ldap\.h: No such file", "libldap-dev libsasl2-dev"),
    (r"sasl/sasl\.h: No such file", "libsasl2-dev"),
    (r"krb5-config: (not found|No such file)|gssapi/gssapi\.h: No such file", "libkrb5-dev"),
    (r"gdal-config", "libgdal-dev"),
    (r"geos_c\.h: No such file|geos-config", "libgeos-dev"),
    (r"curl-config|curl/curl\.h: No such file", "libcurl4-openssl-dev libssl-dev"),
    (r"sqlite3\.h: No such file", "libsqlite3-dev"),
    (r"sql\.h: No such file", "unixodbc-dev"),
    (r"cairo\.h: No such file|Dependency \"cairo\" not found", "libcairo2-dev pkg-config"),
    (r"magic\.h: No such file", "libmagic-dev"),
    (
        r"[Cc]argo[^a-z].*(not installed|not found)|can't find Rust compiler|Rust (toolchain|compiler).*not",
        "cargo",
    ),
    (
        r"(cmake|CMake)[^a-z]*(: No such file|not found|must be installed)|No such file or directory: 'cmake'",
        "cmake",
    ),
    (r"(No such file or directory: 'git'|Cannot find command 'git'|git: not found)", "git"),
)
"""(extended regular expression, apt packages): all whose expression is found in what pip printed are named."""
