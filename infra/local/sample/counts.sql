-- How many rows each table gets. Some 20 MB of the database do not depend on :mb; the rest, 1.28 MB a unit, grows with it.
select 70 * scale as users,
    100 * scale as addresses,
    greatest(20, 2 * scale) as couriers,
    3000 * scale as positions,
    420 * scale as orders,
    600 * scale as messages,
    420 * scale as audits,
    20 * scale as objects,
    greatest(20, 2 * scale) as documents
from (select greatest(1, (:mb - 20) * 78 / 100)) as sized (scale)
\gset
