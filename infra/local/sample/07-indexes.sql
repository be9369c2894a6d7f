-- Keys, indexes, constraints and statistics of the long tables: after the rows, because that is faster.
alter table public.orders add primary key (id);
alter table public.orders add constraint orders_public_id_key unique (public_id);
alter table public.order_items add primary key (order_id, line);
alter table public.payments add primary key (id);
alter table public.chat_messages add primary key (id);
alter table public.courier_positions add primary key (id);
alter table public.audit_log add primary key (id, happened_at);
alter table public.countries replica identity full;
alter table public.dock_bookings add constraint one_courier_a_dock exclude using gist (docks with &&, during with &&);

create index orders_open on public.orders (placed_at) where status in ('placed', 'accepted', 'on the way');
create index orders_customer on public.orders (customer_id, placed_at desc nulls last) include (total);
create index orders_metadata on public.orders using gin (metadata jsonb_path_ops);
create index customers_search on public.customers using gin (search);
create index customers_name on public.customers (lower(full_name) collate "C");
create unique index customers_phone on public.customers ((phone::text)) where user_id is not null;
create index customers_tags on public.customers using gin (tags);
create index positions_courier on public.courier_positions (courier_id, recorded_at);
create index positions_time on public.courier_positions using brin (recorded_at) with (pages_per_range = 64);
create index payments_reference on public.payments using hash (provider_reference);
create index messages_order on public.chat_messages (order_id);
create index audit_log_actor on public.audit_log (actor_id) where actor_id is not null;
create index on auth.users (instance_id);
create unique index users_email_partial_key on auth.users (email) where is_sso_user = false;
create index on auth.identities (email text_pattern_ops);
create unique index bucketid_objname on storage.objects (bucket_id, name);
create index name_prefix_search on storage.objects (name text_pattern_ops);
alter table public.customers cluster on customers_pkey;
comment on index public.orders_open is 'What the dispatcher looks at';

select exists (select from pg_extension where extname = 'pg_trgm') as has_trigrams
\gset
\if :has_trigrams
create index addresses_street on public.addresses using gin (street extensions.gin_trgm_ops);
\endif

select exists (select from pg_extension where extname = 'citext') as has_citext
\gset
\if :has_citext
create table public.newsletter (email extensions.citext primary key, since date not null);
insert into public.newsletter select 'Lector' || i || '@Example.com', date '2025-01-01' + i::integer from generate_series(1, 200) as i;
\endif

select exists (select from pg_extension where extname = 'vector') as has_vector
\gset
\if :has_vector
create table public.product_embeddings (product_id integer primary key, embedding extensions.vector(8) not null);
insert into public.product_embeddings
select i, array(select generator.unit(i * 8 + j, 400)::real from generate_series(1, 8) as j)::extensions.vector from generate_series(1, 60) as i;
\endif

alter table public.cities add foreign key (country_code) references public.countries (code) on update cascade;
alter table public.profiles add foreign key (id) references auth.users (id) on delete cascade;
alter table public.customers add foreign key (user_id) references auth.users (id) on delete set null;
alter table public.customers add constraint customers_default_address_fkey
    foreign key (default_address_id) references public.addresses (id) deferrable initially deferred;
alter table public.addresses add foreign key (customer_id) references public.customers (id) on delete cascade;
alter table public.addresses add foreign key (city_id) references public.cities (id);
alter table public.couriers add foreign key (chief_id) references public.couriers (id);
alter table public.courier_positions add foreign key (courier_id) references public.couriers (id);
alter table public.orders add foreign key (customer_id) references public.customers (id);
alter table public.orders add foreign key (courier_id) references public.couriers (id) on delete set null;
alter table public.orders add constraint delivered_after_placed check (delivered_at >= placed_at);
alter table public.order_items add foreign key (order_id) references public.orders (id) on delete cascade;
alter table public.order_items add foreign key (product_id) references public.products (id) on delete restrict;
alter table public.payments add foreign key (order_id) references public.orders (id) deferrable initially immediate;
alter table public.chat_messages add foreign key (order_id) references public.orders (id) on delete cascade;
alter table auth.identities add foreign key (user_id) references auth.users (id) on delete cascade;
alter table auth.sessions add foreign key (user_id) references auth.users (id) on delete cascade;
alter table auth.refresh_tokens add foreign key (session_id) references auth.sessions (id) on delete cascade;
alter table auth.mfa_factors add foreign key (user_id) references auth.users (id) on delete cascade;

create statistics public.orders_status_channel (dependencies, ndistinct) on status, channel from public.orders;
create statistics edge.rare_expression on (height * 2), kept from edge.altered;
