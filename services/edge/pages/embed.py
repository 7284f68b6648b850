"""Writes a C++ file whose functions return the bytes of files.

embed.py NAMESPACE Function=FILE ... > out.cc
"""

import sys


def literal(data: bytes) -> str:
    # One unsigned array per file: string literals have a length limit.
    return ",".join(str(byte) for byte in data)


def main() -> None:
    namespace, *entries = sys.argv[1:]
    print("#include <string_view>\n")
    print("namespace %s {\n" % namespace)
    for entry in entries:
        function, path = entry.split("=", 1)
        with open(path, "rb") as file:
            data = file.read()
        print("static const unsigned char k%s[] = {%s};" % (function, literal(data) or "0"))
        print("std::string_view %s() {" % function)
        print("  return {reinterpret_cast<const char*>(k%s), %d};\n}\n" % (function, len(data)))
    print("}  // namespace %s" % namespace)


main()
