-- Row level security, grants, default privileges and the publication of Supabase Realtime.
alter table auth.users enable row level security;
alter table auth.sessions enable row level security;
alter table auth.refresh_tokens enable row level security;
alter table storage.buckets enable row level security;
alter table storage.objects enable row level security;
alter table public.profiles enable row level security;
alter table public.customers enable row level security;
alter table public.addresses enable row level security;
alter table public.orders enable row level security;
alter table public.order_items enable row level security;
alter table public.payments enable row level security;
alter table public.payments force row level security;
alter table public.chat_messages enable row level security;
alter table edge.no_key enable row level security;
alter table edge.no_key force row level security;

create policy "Profiles are visible to everyone." on public.profiles for select using (true);
create policy "Users can update own profile." on public.profiles for update to authenticated
    using ((select auth.uid()) = id) with check ((select auth.uid()) = id);
create policy "Clientes: sólo lo propio" on public.customers to authenticated using (user_id = (select auth.uid()));
create policy own_addresses on public.addresses to authenticated using (customer_id in (select public.own_customer_ids()));
create policy own_orders on public.orders for select to authenticated using (customer_id in (select public.own_customer_ids()));
create policy no_drafts on public.orders as restrictive for select to anon, authenticated using (status <> 'draft');
create policy own_items on public.order_items for select to authenticated
    using (exists (select from public.orders o where o.id = order_items.order_id));
create policy own_payments on public.payments for select to authenticated
    using (exists (select from public.orders o where o.id = payments.order_id));
create policy take_part on public.chat_messages for insert to authenticated with check (sender_id = (select auth.uid()));
create policy "Avatars are public" on storage.objects for select using (bucket_id = 'avatars');
create policy "Own folder" on storage.objects for insert to authenticated
    with check (bucket_id = 'avatars' and (storage.foldername(name))[1] = (select auth.uid())::text);
comment on policy own_orders on public.orders is 'Customers see their own orders';

grant usage on schema public, edge to anon, authenticated, service_role;
grant all on all tables in schema public to service_role;
grant all on all sequences in schema public to service_role;
grant select on public.countries, public.cities, public.products to anon;
grant select, insert, update on public.profiles, public.customers, public.addresses, public.orders, public.chat_messages to authenticated;
grant select (id, full_name, rating), update (rating) on public.couriers to authenticated;
grant select on public.orders to dashboard_user with grant option;
grant usage on sequence public.chat_messages_id_seq to authenticated;
grant usage on schema "Gás Rápido" to anon;
grant select on "Gás Rápido"."Pedidos con espacios" to anon;
revoke execute on function public.own_customer_ids() from public;
grant execute on function public.own_customer_ids() to authenticated, service_role;
grant usage on type public.order_status to anon;
revoke all on schema public from public;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public grant execute on functions to anon, authenticated, service_role;
alter default privileges revoke execute on functions from public;
alter function public.distance_km owner to dashboard_user;

create publication supabase_realtime for table public.orders, public.chat_messages;
alter publication supabase_realtime add table public.courier_positions;
create publication only_some for table public.products (id, sku, name) where (id > 20) with (publish = 'insert, update');
