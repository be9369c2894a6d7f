-- The rows of the company and of its users.
\ir counts.sql

insert into public.countries (code, name, currency, tax_rate) values
    ('PE', 'Perú', 'PEN', 0.18),
    ('CL', 'Chile', 'CLP', 0.19),
    ('CO', 'Colombia', 'COP', 0.19),
    ('MX', 'México', 'MXN', 0.16),
    ('BR', 'Brasil', 'BRL', 0.17),
    ('AR', 'Argentina', 'ARS', 0.21),
    ('UY', 'Uruguay', 'UYU', 0.22);

insert into public.cities (country_code, name, centre, timezone) values
    ('PE', 'Lima', (-12.0464, -77.0428), 'America/Lima'),
    ('PE', 'Arequipa', (-16.4090, -71.5375), 'America/Lima'),
    ('CL', 'Viña del Mar', (-33.0153, -71.5500), 'America/Santiago'),
    ('CL', 'Concepción', (-36.8201, -73.0444), 'America/Santiago'),
    ('CO', 'Bogotá', (4.7110, -74.0721), 'America/Bogota'),
    ('CO', 'Medellín', (6.2442, -75.5812), 'America/Bogota'),
    ('MX', 'Mérida', (20.9674, -89.5926), 'America/Merida'),
    ('MX', 'Ciudad de México', (19.4326, -99.1332), 'America/Mexico_City'),
    ('BR', 'São Paulo', (-23.5505, -46.6333), 'America/Sao_Paulo'),
    ('BR', 'Goiânia', (-16.6869, -49.2648), 'America/Sao_Paulo'),
    ('AR', 'Córdoba', (-31.4201, -64.1888), 'America/Argentina/Cordoba'),
    ('UY', 'Paysandú', (-32.3214, -58.0756), 'America/Montevideo');

insert into public.products (sku, name, cylinder_kg, price, allowed_prices, attributes, photo)
select
    format('GAS-%s', lpad(i::text, 4, '0')),
    generator.one_of(i, 1, array['Balón', 'Botija', 'Garrafa', 'Cilindro', 'Regulador', 'Manguera', 'Válvula']) || ' n.º ' || i,
    case when generator.below(i, 2, 4) > 0 then (array[5, 10, 11, 13, 15, 45])[1 + generator.below(i, 3, 6)] end,
    round((10 + 190 * generator.unit(i, 4))::numeric, 2),
    case when generator.below(i, 5, 5) > 0 then public.price_range(5, 250, '[]') end,
    jsonb_build_object('brand', generator.one_of(i, 6, array['Solgas', 'Lipigas', 'Ultragaz', 'Zeta']), 'valve', generator.below(i, 7, 3)),
    case when generator.below(i, 8, 3) = 0 then generator.noise(i, 9, 100) end
from generate_series(1, 60) as i;

-- auth -----------------------------------------------------------------------------------------------------------------

insert into auth.schema_migrations
select to_char(timestamp '2021-01-01' + i * interval '11 days 1 second', 'YYYYMMDDHH24MISS') from generate_series(1, 60) as i;

create trigger on_auth_user_created
    after insert on auth.users
    for each row execute function public.handle_new_user();

insert into auth.users (
    instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, confirmation_token, recovery_token,
    email_change_token_new, email_change, last_sign_in_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at,
    phone, phone_confirmed_at, banned_until, is_anonymous)
select
    '00000000-0000-0000-0000-000000000000',
    generator.id(i, 1),
    'authenticated',
    'authenticated',
    format('user%s@example.%s', i, generator.one_of(i, 2, array['pe', 'cl', 'co', 'mx', 'br'])),
    '$2a$10$' || left(translate(encode(generator.noise(i, 3, 2), 'base64'), E'+=\n', '..'), 53),
    case when generator.below(i, 4, 10) > 0 then generator.instant(i, 5, 300) end,
    '', '', '', '',
    case when generator.below(i, 6, 8) > 0 then generator.instant(i, 7, 364) end,
    '{"provider": "email", "providers": ["email"]}',
    jsonb_build_object(
        'full_name', generator.person(i, 10),
        'avatar_url', case when generator.below(i, 8, 3) = 0 then format('avatars/%s.webp', generator.id(i, 1)) end),
    generator.instant(i, 5, 300),
    generator.instant(i, 7, 364),
    '51' || (900000000 + i),
    case when generator.below(i, 9, 2) = 0 then generator.instant(i, 5, 300) end,
    case when generator.below(i, 13, 500) = 0 then timestamptz 'infinity' end,
    generator.below(i, 14, 50) = 0
from generate_series(1, :users) as i;

insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at, id)
select
    generator.id(i, 1)::text,
    generator.id(i, 1),
    jsonb_build_object('sub', generator.id(i, 1), 'email', format('User%s@Example.pe', i), 'email_verified', i % 3 = 0),
    'email',
    generator.instant(i, 7, 364),
    generator.instant(i, 5, 300),
    generator.instant(i, 5, 300),
    generator.id(i, 15)
from generate_series(1, :users) as i;

insert into auth.sessions (id, user_id, created_at, updated_at, aal, refreshed_at, user_agent, ip)
select
    generator.id(i, 16),
    generator.id(i, 1),
    generator.instant(i, 7, 364),
    generator.instant(i, 7, 364),
    (array['aal1', 'aal1', 'aal2'])[1 + i % 3]::auth.aal_level,
    case when i % 4 = 0 then timestamp '2025-12-24 20:00:00' - i * interval '1 second' end,
    generator.one_of(i, 17, array['GasRapido/4.2 (Android 14; SM-A155M)', 'GasRapido/4.2 (iPhone15,4; iOS 18.1)', 'okhttp/4.12.0']),
    format('190.%s.%s.%s', generator.below(i, 18, 256), generator.below(i, 19, 256), 1 + generator.below(i, 20, 254))::inet
from generate_series(1, :users) as i
where i % 2 = 0;

insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
select
    '00000000-0000-0000-0000-000000000000',
    left(md5('token' || generator.id(i, 21)), 22),
    generator.id(i, 1)::text,
    i % 5 = 0,
    generator.instant(i, 22, 364),
    generator.instant(i, 22, 364),
    case when i % 6 = 0 then left(md5('token' || generator.id(i - 2, 21)), 22) end,
    generator.id(i, 16)
from generate_series(1, :users) as i
where i % 2 = 0;

insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, created_at, updated_at, secret)
select
    generator.id(i, 23), generator.id(i, 1), '', (array['totp', 'phone'])[1 + i % 2]::auth.factor_type, 'verified',
    generator.instant(i, 24, 300), generator.instant(i, 24, 300), upper(md5(generator.id(i, 25)::text))
from generate_series(1, :users) as i
where i % 100 = 0;

insert into auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
select
    '00000000-0000-0000-0000-000000000000',
    generator.id(i, 26),
    format('{"action":"%s", "actor_id":"%s",  "log_type":"account"}', generator.one_of(i, 27, array['login', 'logout', 'token_refreshed']),
        generator.id(1 + i / 2, 1))::json,
    generator.instant(i, 28, 364),
    format('190.%s.0.%s', generator.below(i, 29, 256), generator.below(i, 30, 256))
from generate_series(1, :users * 2) as i;

-- storage --------------------------------------------------------------------------------------------------------------

insert into storage.migrations (id, name, hash, executed_at)
select i, 'migration-' || i, md5('migration' || i) || '00000000', timestamp '2024-12-31 23:00:00' + i * interval '1 second'
from generate_series(0, 26) as i;

insert into storage.buckets (id, name, created_at, updated_at, public, file_size_limit, allowed_mime_types) values
    ('avatars', 'avatars', '2025-01-01 00:00:00+00', '2025-01-01 00:00:00+00', true, 1048576, '{image/webp,image/png}'),
    ('delivery-proofs', 'delivery-proofs', '2025-01-01 00:00:00+00', '2025-01-02 00:00:00+00', false, 10485760, '{image/jpeg}'),
    ('invoices', 'invoices', '2025-01-01 00:00:00+00', '2025-01-01 00:00:00+00', false, null, null);

insert into storage.objects (id, bucket_id, name, owner, created_at, updated_at, last_accessed_at, metadata, version, owner_id)
select
    generator.id(i, 31),
    bucket,
    case bucket
        when 'avatars' then generator.id(1 + i % :users, 1) || '/' || i || '.webp'
        when 'invoices' then format('2025/%s/factura n.º %s.pdf', lpad((1 + i % 12)::text, 2, '0'), i)
        else format('pedidos/%s/entrega-%s.jpg', i, generator.below(i, 32, 1000))
    end,
    generator.id(1 + i % :users, 1),
    generator.instant(i, 33, 364),
    generator.instant(i, 33, 364),
    generator.instant(i, 33, 364),
    jsonb_build_object('eTag', '"' || md5(i::text) || '"', 'size', generator.below(i, 34, 4000000), 'mimetype', 'image/jpeg',
        'cacheControl', 'max-age=3600', 'httpStatusCode', 200),
    generator.id(i, 35)::text,
    generator.id(1 + i % :users, 1)::text
from generate_series(1, :objects) as i,
    lateral (select generator.one_of(i, 36, array['avatars', 'delivery-proofs', 'delivery-proofs', 'invoices'])) as chosen (bucket);

-- customers and orders ---------------------------------------------------------------------------------------------------

insert into public.customers (user_id, full_name, phone, tags, preferences, loyalty_points, credit_limit, created_at, updated_at)
select
    case when i % 20 > 0 then generator.id(i, 1) end,
    generator.person(i, 10),
    '+51' || (900000000 + i),
    (array['vip', 'edificio', 'restaurante', 'sin ascensor', 'perro "bravo"', 'paga, luego'])[1 : generator.below(i, 40, 7)],
    jsonb_build_object(
        'language', generator.one_of(i, 41, array['es', 'pt', 'qu']),
        'notify', jsonb_build_object('sms', i % 2 = 0, 'push', i % 3 = 0, 'hours', jsonb_build_array(8 + i % 5, 20)),
        'favourite', 1 + generator.below(i, 42, 60)),
    generator.below(i, 43, 5000),
    case when i % 7 = 0 then generator.below(i, 44, 100000) / 100.0 end,
    generator.instant(i, 45, 300),
    generator.instant(i, 46, 364)
from generate_series(1, :users) as i;

insert into public.addresses (customer_id, label, street, city_id, location, instructions)
select
    1 + (i - 1) % :users,
    generator.one_of(i, 50, array['casa', 'trabajo', 'mamá', '', 'negocio']),
    generator.one_of(i, 51, array['Av. Arequipa', 'Rua das Flores', 'Jr. de la Unión', 'Calle 80', 'Paseo Montejo', 'Bv. San Juan'])
        || ' ' || (1 + generator.below(i, 52, 4000)),
    1 + generator.below(i, 53, 12),
    case when i % 15 > 0 then row(-40 + 60 * generator.unit(i, 54), -90 + 50 * generator.unit(i, 55))::public.geo_point end,
    case when i % 3 = 0 then generator.phrase(i, 56) end
from generate_series(1, :addresses) as i;

update public.customers set default_address_id = id where id % 2 = 0;

insert into public.couriers (full_name, phone, chief_id, vehicle, licence_scan, zones, shift, rating, hired_on)
select
    generator.person(i, 60),
    '+56' || (800000000 + i),
    case when i > 10 then 1001 + generator.below(i, 61, 10) end,
    jsonb_build_object('kind', generator.one_of(i, 62, array['moto', 'camioneta', 'triciclo']), 'plate', upper(left(md5(i::text), 6))),
    generator.noise(i, 63, 60),
    array(select generator.below(i * 10 + j, 64, 12) + 1 from generate_series(1, generator.below(i, 65, 4)) as j),
    tstzrange('2025-01-01 06:00:00+00'::timestamptz + (i % 12) * interval '1 hour', case when i % 9 > 0
        then '2025-01-01 14:00:00+00'::timestamptz + (i % 12) * interval '1 hour' end, '[)'),
    round((3 + 2 * generator.unit(i, 66))::numeric, 2),
    date '2019-01-01' + generator.below(i, 67, 2000)
from generate_series(1, :couriers) as i;

insert into public.dock_bookings (courier_id, docks, during)
select
    1001 + generator.below(i, 70, :couriers),
    int4range(i % 6, i % 6 + 1),
    tstzrange(
        '2025-03-01 00:00:00+00'::timestamptz + (i / 6) * interval '1 hour',
        '2025-03-01 00:00:00+00'::timestamptz + (i / 6 + 1) * interval '1 hour')
from generate_series(1, 600) as i;

insert into public.orders (public_id, customer_id, address_id, courier_id, status, placed_at, delivery_window, delivered_at, total,
    note, channel, metadata)
select
    generator.id(i, 80),
    1 + generator.below(i, 81, :users),
    1 + generator.below(i, 82, :addresses),
    case when i % 11 > 0 then 1001 + generator.below(i, 83, :couriers) end,
    (array['delivered', 'delivered', 'delivered', 'delivered', 'cancelled', 'placed', 'on the way', 'devolución'])
        [1 + generator.below(i, 84, 8)]::public.order_status,
    placed_at,
    tstzrange(placed_at + interval '30 minutes', placed_at + interval '2 hours'),
    case when generator.below(i, 84, 8) < 4 then placed_at + generator.below(i, 85, 7000) * interval '1 second' end,
    round((15 + 400 * generator.unit(i, 86))::numeric, 2),
    case when i % 4 = 0 then generator.phrase(i, 87) when i % 40 = 1 then '' end,
    generator.one_of(i, 88, array['app', 'app', 'app', 'whatsapp', 'teléfono', 'web']),
    case when i % 2 = 0 then jsonb_build_object('app_version', '4.' || generator.below(i, 89, 20), 'coupon',
        case when i % 10 = 0 then 'GAS' || generator.below(i, 90, 100) end) end
from generate_series(1, :orders) as i,
    lateral (select timestamptz '2025-01-01 00:00:00+00' + (i * (31449600.0 / :orders)) * interval '1 second') as clock (placed_at);

insert into public.order_items (order_id, line, product_id, quantity, unit_price, discount)
select
    i, line, 1 + generator.below(i * 8 + line, 91, 60), 1 + generator.below(i * 8 + line, 92, 3),
    round((10 + 190 * generator.unit(i * 8 + line, 93))::numeric, 2),
    case when generator.below(i * 8 + line, 94, 6) = 0 then 2.50 else 0 end
from generate_series(1, :orders) as i, generate_series(1, 1 + generator.below(i, 95, 3)) as line;

insert into public.payments (id, order_id, method, amount, currency, paid_at, provider_reference, provider_response)
select
    generator.id(i, 100),
    i,
    (array['cash', 'card', 'pix', 'yape', 'transferência'])[1 + generator.below(i, 101, 5)]::public.payment_method,
    round((15 + 400 * generator.unit(i, 86))::numeric, 2),
    generator.one_of(i, 102, array['PEN', 'CLP', 'COP', 'MXN', 'BRL']),
    case when i % 12 > 0 then generator.instant(i, 103, 364) end,
    case when i % 5 > 0 then 'ch_' || md5(i || 'reference') end,
    case when i % 5 > 0 then jsonb_build_object(
        'id', 'ch_' || md5(i || 'reference'), 'approved', i % 12 > 0, 'installments', generator.below(i, 104, 12),
        'trace', encode(generator.noise(i, 105, 2), 'base64')) end
from generate_series(1, :orders) as i;
