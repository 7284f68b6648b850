"""A schema like TPC-H's with skewed values, and a mix of statements on it: the workload of
`tools/bench index-live`. Everything is generated from a seed; nothing of TPC's own generator is used."""

import random

# Rows at scale 1.
SIZES = {"supplier": 10_000, "customer": 150_000, "part": 200_000, "orders": 1_500_000}
FIRST_DAY, DAYS = "1992-01-01", 2400

# Written by hand for MIX: what somebody who knows it would build.
REFERENCE = [
    "orders (o_custkey, o_orderdate)",
    "orders (o_orderdate)",
    "orders (o_orderdate) WHERE o_orderstatus = 'P'",
    "lineitem (l_partkey)",
    "lineitem (l_shipdate)",
    "lineitem (l_suppkey, l_shipdate)",
    "lineitem (l_receiptdate)",
    "customer (c_nationkey, c_acctbal)",
    "partsupp (ps_suppkey)",
    "part (p_brand, p_container)",
]


def load_sql(scale: float, seed: int) -> str:
    """Keys are skewed: of 100 rows some 40 are of the first tenth of the values."""
    n = {name: max(1000, int(size * scale)) for name, size in SIZES.items()}

    def skewed(count: int) -> str:
        return f"(1 + floor({count} * power(random(), 1.6)))::int"

    return f"""
SELECT setseed({(seed % 1000) / 1000});
CREATE TABLE supplier (s_suppkey int PRIMARY KEY, s_nationkey int, s_acctbal numeric(15,2), s_comment text);
CREATE TABLE customer (c_custkey int PRIMARY KEY, c_nationkey int, c_mktsegment text,
  c_acctbal numeric(15,2), c_comment text);
CREATE TABLE part (p_partkey int PRIMARY KEY, p_brand text, p_type text, p_size int, p_container text,
  p_comment text);
CREATE TABLE partsupp (ps_partkey int, ps_suppkey int, ps_availqty int, ps_supplycost numeric(15,2),
  ps_comment text, PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE orders (o_orderkey int PRIMARY KEY, o_custkey int, o_orderstatus text,
  o_totalprice numeric(15,2), o_orderdate date, o_orderpriority text, o_comment text)
  WITH (fillfactor = 90);
CREATE TABLE lineitem (l_orderkey int, l_linenumber int, l_partkey int, l_suppkey int,
  l_quantity numeric(15,2), l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2),
  l_returnflag text, l_linestatus text, l_shipdate date, l_commitdate date, l_receiptdate date,
  l_shipmode text, l_comment text, PRIMARY KEY (l_orderkey, l_linenumber));
INSERT INTO supplier SELECT i, {skewed(25)}, random() * 10000, repeat('s', 60)
  FROM generate_series(1, {n['supplier']}) i;
INSERT INTO customer SELECT i, {skewed(25)}, (ARRAY['BUILDING','AUTOMOBILE','MACHINERY','HOUSEHOLD',
  'FURNITURE'])[{skewed(5)}], random() * 10000 - 1000, repeat('c', 70)
  FROM generate_series(1, {n['customer']}) i;
INSERT INTO part SELECT i, 'Brand#' || {skewed(50)}, 'TYPE ' || {skewed(150)}, {skewed(50)},
  'BOX ' || {skewed(40)}, repeat('p', 40) FROM generate_series(1, {n['part']}) i;
INSERT INTO partsupp SELECT p, 1 + (p * 7 + s * {n['supplier'] // 4 + 1}) % {n['supplier']},
  random() * 10000, random() * 1000, repeat('q', 80)
  FROM generate_series(1, {n['part']}) p, generate_series(0, 3) s ON CONFLICT DO NOTHING;
INSERT INTO orders SELECT i, {skewed(n['customer'])}, CASE WHEN random() < 0.02 THEN 'P' WHEN random() < 0.5
  THEN 'O' ELSE 'F' END, random() * 400000, date '{FIRST_DAY}' + (random() * {DAYS})::int,
  {skewed(5)} || '-PRIORITY', repeat('o', 50) FROM generate_series(1, {n['orders']}) i;
INSERT INTO lineitem SELECT o_orderkey, l, {skewed(n['part'])}, {skewed(n['supplier'])},
  1 + (random() * 49)::int, random() * 90000, (random() * 10)::int / 100.0, (random() * 8)::int / 100.0,
  (ARRAY['N','R','A'])[{skewed(3)}], CASE WHEN random() < 0.5 THEN 'O' ELSE 'F' END,
  o_orderdate + 1 + (random() * 120)::int, o_orderdate + 30 + (random() * 60)::int,
  o_orderdate + 2 + (random() * 150)::int, (ARRAY['RAIL','AIR','TRUCK','MAIL','SHIP','FOB','REG AIR'])[
  {skewed(7)}], repeat('l', 20)
  FROM orders, generate_series(1, 1 + o_orderkey % 7) l;
VACUUM ANALYZE;
"""


def mix(scale: float, seed: int) -> list[tuple[str, str]]:
    """(name, statement) in the order of running: each template several times with values of its own."""
    rng = random.Random(seed)
    n = {name: max(1000, int(size * scale)) for name, size in SIZES.items()}

    def key(table: str) -> int:
        return 1 + int(n[table] * rng.random() ** 1.6)

    def day(span: int = DAYS) -> str:
        return f"date '{FIRST_DAY}' + {rng.randrange(span)}"

    def date(before: int = 400) -> str:
        return f"date '{rng.randrange(1993, 1998)}-{rng.randrange(1, 13):02d}-01'"

    templates = [
        ("customer_orders", 60, lambda: f"SELECT o_orderkey, o_totalprice FROM orders WHERE o_custkey = "
                                        f"{key('customer')} ORDER BY o_orderdate DESC LIMIT 10"),
        ("part_sales", 40, lambda: "SELECT sum(l_quantity), avg(l_extendedprice) FROM lineitem "
                                   f"WHERE l_partkey = {key('part')}"),
        ("shipping_priority", 3, lambda: (lambda d: (
            "SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate "
            "FROM customer, orders, lineitem WHERE c_mktsegment = 'FURNITURE' AND c_custkey = o_custkey "
            f"AND l_orderkey = o_orderkey AND o_orderdate >= {d} AND o_orderdate < {d} + interval '1' "
            "month GROUP BY l_orderkey, o_orderdate ORDER BY revenue DESC LIMIT 10"))(date())),
        ("order_priority", 3, lambda: (lambda d: (
            "SELECT o_orderpriority, count(*) FROM orders WHERE o_orderdate >= "
            f"{d} AND o_orderdate < {d} + interval '1' month AND EXISTS (SELECT 1 FROM lineitem WHERE "
            "l_orderkey = o_orderkey AND l_commitdate < l_receiptdate) GROUP BY o_orderpriority "
            "ORDER BY o_orderpriority"))(date())),
        ("forecast_revenue", 8, lambda: (lambda d: (
            "SELECT sum(l_extendedprice * l_discount) FROM lineitem WHERE l_shipdate >= "
            f"{d} AND l_shipdate < {d} + interval '7' day AND l_discount BETWEEN 0.05 AND 0.07 AND "
            "l_quantity < 24"))(date())),
        ("returned_items", 2, lambda: (lambda d: (
            "SELECT c_custkey, sum(l_extendedprice) AS revenue FROM customer, orders, lineitem WHERE "
            f"c_custkey = o_custkey AND l_orderkey = o_orderkey AND o_orderdate >= {d} AND o_orderdate < "
            f"{d} + interval '14' day AND l_returnflag = 'R' GROUP BY c_custkey ORDER BY revenue DESC "
            "LIMIT 20"))(date())),
        ("shipping_modes", 3, lambda: (lambda d: (
            "SELECT l_shipmode, count(*) FROM orders, lineitem WHERE o_orderkey = l_orderkey AND "
            f"l_shipmode IN ('FOB', 'REG AIR') AND l_receiptdate >= {d} AND l_receiptdate < {d} + "
            "interval '14' day AND l_commitdate < l_receiptdate GROUP BY l_shipmode"))(date())),
        ("promotion", 4, lambda: (lambda d: (
            "SELECT sum(CASE WHEN p_type LIKE 'TYPE 1%' THEN l_extendedprice ELSE 0 END) FROM lineitem, "
            f"part WHERE l_partkey = p_partkey AND l_shipdate >= {d} AND l_shipdate < {d} + interval '7' "
            "day"))(date())),
        ("small_quantity", 3, lambda: (
            "SELECT sum(l_extendedprice) / 7 FROM lineitem, part WHERE p_partkey = l_partkey AND p_brand "
            f"= 'Brand#{rng.randrange(20, 45)}' AND p_container = 'BOX {rng.randrange(15, 35)}' AND "
            "l_quantity < (SELECT 0.2 * avg(l_quantity) FROM lineitem WHERE l_partkey = p_partkey)")),
        ("supplier_week", 20, lambda: (lambda d: (
            f"SELECT count(*), sum(l_quantity) FROM lineitem WHERE l_suppkey = {key('supplier')} AND "
            f"l_shipdate >= {d} AND l_shipdate < {d} + interval '3' month"))(date())),
        ("pending_orders", 20, lambda: (
            f"SELECT o_orderkey FROM orders WHERE o_orderstatus = 'P' AND o_orderdate >= {day()} "
            "ORDER BY o_orderdate LIMIT 20")),
        ("rich_customers", 20, lambda: (
            f"SELECT c_custkey, c_acctbal FROM customer WHERE c_nationkey = {rng.randrange(1, 26)} "
            "ORDER BY c_acctbal DESC LIMIT 10")),
        ("stock_value", 20, lambda: (
            f"SELECT sum(ps_supplycost * ps_availqty) FROM partsupp WHERE ps_suppkey = {key('supplier')}")),
        ("order_by_key", 50, lambda: (
            "SELECT * FROM orders, lineitem WHERE o_orderkey = l_orderkey AND o_orderkey = "
            f"{key('orders')}")),
        ("pricing_summary", 1, lambda: (
            "SELECT l_returnflag, l_linestatus, sum(l_quantity), count(*) FROM lineitem WHERE l_shipdate "
            "<= date '1998-06-01' GROUP BY l_returnflag, l_linestatus ORDER BY 1, 2")),
        ("note_an_order", 40, lambda: (
            f"UPDATE orders SET o_comment = 'x' WHERE o_orderkey = {key('orders')}")),
    ]
    out = [(name, make()) for name, count, make in templates for _ in range(count)]
    rng.shuffle(out)
    return out
