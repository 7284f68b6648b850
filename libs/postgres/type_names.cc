#include "libs/postgres/type_names.h"

#include <algorithm>
#include <iterator>

namespace slipstream::postgres {

namespace {

struct Type {
  uint32_t oid;
  std::string_view name;
};

// By OID, from pg_type.dat of PostgreSQL 15.
constexpr Type kTypes[] = {
    {16, "bool"},
    {17, "bytea"},
    {18, "char"},
    {19, "name"},
    {20, "int8"},
    {21, "int2"},
    {22, "int2vector"},
    {23, "int4"},
    {25, "text"},
    {26, "oid"},
    {28, "xid"},
    {30, "oidvector"},
    {114, "json"},
    {142, "xml"},
    {199, "_json"},
    {600, "point"},
    {601, "lseg"},
    {602, "path"},
    {603, "box"},
    {604, "polygon"},
    {628, "line"},
    {650, "cidr"},
    {700, "float4"},
    {701, "float8"},
    {718, "circle"},
    {774, "macaddr8"},
    {790, "money"},
    {829, "macaddr"},
    {869, "inet"},
    {1000, "_bool"},
    {1001, "_bytea"},
    {1003, "_name"},
    {1005, "_int2"},
    {1007, "_int4"},
    {1009, "_text"},
    {1014, "_bpchar"},
    {1015, "_varchar"},
    {1016, "_int8"},
    {1021, "_float4"},
    {1022, "_float8"},
    {1028, "_oid"},
    {1041, "_inet"},
    {1042, "bpchar"},
    {1043, "varchar"},
    {1082, "date"},
    {1083, "time"},
    {1114, "timestamp"},
    {1115, "_timestamp"},
    {1182, "_date"},
    {1184, "timestamptz"},
    {1185, "_timestamptz"},
    {1186, "interval"},
    {1231, "_numeric"},
    {1266, "timetz"},
    {1560, "bit"},
    {1562, "varbit"},
    {1700, "numeric"},
    {1790, "refcursor"},
    {2205, "regclass"},
    {2249, "record"},
    {2278, "void"},
    {2950, "uuid"},
    {2951, "_uuid"},
    {2970, "txid_snapshot"},
    {3614, "tsvector"},
    {3615, "tsquery"},
    {3642, "gtsvector"},
    {3802, "jsonb"},
    {3807, "_jsonb"},
    {3904, "int4range"},
    {3906, "numrange"},
    {3908, "tsrange"},
    {3910, "tstzrange"},
    {3912, "daterange"},
    {3926, "int8range"},
    {4072, "jsonpath"},
    {4451, "int4multirange"},
    {4532, "nummultirange"},
    {4533, "tsmultirange"},
    {4534, "tstzmultirange"},
    {4535, "datemultirange"},
    {4536, "int8multirange"},
    {5069, "xid8"},
};

}  // namespace

std::string_view BuiltInTypeName(uint32_t oid) {
  const auto* at = std::lower_bound(std::begin(kTypes), std::end(kTypes), oid,
                                    [](const Type& type, uint32_t o) { return type.oid < o; });
  return at != std::end(kTypes) && at->oid == oid ? at->name : std::string_view();
}

}  // namespace slipstream::postgres
