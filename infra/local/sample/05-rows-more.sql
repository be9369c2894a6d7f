-- The rows of the tables that only grow: positions, chat, audit log, route plans. Loaded beside 05-rows.sql.
\ir counts.sql

insert into public.courier_positions (courier_id, recorded_at, latitude, longitude, speed_kmh, heading, battery)
select
    1001 + i % :couriers,
    timestamptz '2025-06-01 00:00:00+00' + i * interval '1.7 seconds',
    -12 + 0.2 * generator.unit(i, 200),
    -77 + 0.2 * generator.unit(i, 201),
    greatest(0, generator.below(i, 202, 800) - 200) / 10.0,
    case when i % 3 > 0 then generator.below(i, 203, 360) end,
    100 - (i / 1000) % 100
from generate_series(1, :positions) as i;

insert into public.chat_messages (order_id, sender_id, body, attachments, sent_at, read_at)
select
    1 + generator.below(i, 210, :orders),
    case when i % 13 > 0 then generator.id(1 + generator.below(i, 211, :users), 1) end,
    generator.phrase(i, 212) || case when i % 4 = 0 then ' ' || generator.phrase(i, 216) else '' end,
    case when i % 25 = 0 then array['delivery-proofs/' || i || '.jpg', null, 'a,b "c"'] end,
    timestamptz '2025-01-01 00:00:00+00' + i * (31449600.0 / :messages) * interval '1 second',
    case when i % 3 > 0 then timestamptz '2025-01-01 00:05:00+00' + i * (31449600.0 / :messages) * interval '1 second' end
from generate_series(1, :messages) as i;

insert into public.audit_log (happened_at, actor_id, action, table_name, row_id, old_row, new_row, client_ip)
select
    timestamptz '2025-01-01 00:00:00+00' + i * (31622400.0 / :audits) * interval '1 second',
    case when i % 6 > 0 then generator.id(1 + generator.below(i, 220, :users), 1) end,
    action,
    generator.one_of(i, 222, array['orders', 'payments', 'customers', 'products', 'couriers']),
    generator.below(i, 223, 100000)::text,
    case when action <> 'insert' then jsonb_build_object('status', 'placed', 'total', generator.below(i, 224, 40000) / 100.0) end,
    case when action <> 'delete' then jsonb_build_object('status', 'delivered', 'total', generator.below(i, 225, 40000) / 100.0,
        'note', generator.phrase(i, 226), 'request', generator.id(i, 230)) end,
    case when i % 4 = 0 then format('2001:db8::%s', to_hex(generator.below(i, 231, 65536)))::inet else '10.0.0.0/24'::inet end
from generate_series(1, :audits) as i,
    lateral (select generator.one_of(i, 221, array['insert', 'update', 'update', 'delete'])) as chosen (action);

insert into public.route_plans (courier_id, planned_for, plan)
select
    1001 + i % :couriers,
    date '2025-01-01' + (i % 365)::integer,
    (
        select jsonb_build_object('version', 3, 'stops', jsonb_agg(jsonb_build_object(
            'order', generator.id(i * 1000 + stop, 240), 'eta_s', stop * 300 + generator.below(i * 1000 + stop, 241, 200),
            'at', jsonb_build_array(generator.unit(i * 1000 + stop, 242), generator.unit(i * 1000 + stop, 243)),
            'note', generator.phrase(i * 1000 + stop, 244)) order by stop))
        from generate_series(1, 115) as stop
    )
from generate_series(1, :documents) as i;
