-- Views, materialised views, rules and triggers.
create view public.open_orders with (security_invoker = true) as
    select o.id, o.public_id, o.placed_at, c.full_name, o.total
    from public.orders o
    join public.customers c on c.id = o.customer_id
    where o.status in ('placed', 'accepted', 'on the way');
comment on view public.open_orders is 'What is still to be delivered';

-- Grouped by a primary key only, so that it depends on that key: pg_dump can restore it only after the rows.
create view public.customer_totals as
    select c.id, c.full_name, count(o.id) as orders, coalesce(sum(o.total), 0) as spent
    from public.customers c
    left join public.orders o on o.customer_id = c.id
    group by c.id;

create materialized view public.sales_by_month as
    select date_trunc('month', placed_at at time zone 'UTC')::date as month, channel, count(*) as orders, sum(total) as total
    from public.orders
    group by 1, 2
with data;
create unique index sales_by_month_key on public.sales_by_month (month, channel);

-- One that reads another, and the view above: the order of refreshing matters.
create materialized view public.best_customers as
    select t.id, t.full_name, t.spent, (select max(total) from public.sales_by_month) as best_month
    from public.customer_totals t
    where t.orders > 0
    order by t.spent desc, t.id
    limit 100
with data;
create materialized view edge.not_populated as select * from edge.no_key with no data;

create view edge.editable as select id, kept from edge.altered;
create function edge.editable_insert() returns trigger
language plpgsql
as $$
begin
    insert into edge.altered (id, kept) values (new.id, new.kept);
    return new;
end;
$$;
create trigger editable_insert instead of insert on edge.editable for each row execute function edge.editable_insert();

create view edge.ruled with (security_barrier = true) as select a, b from edge.no_key;
create rule ruled_insert as on insert to edge.ruled do instead insert into edge.no_key values (new.a, new.b);
create rule no_delete as on delete to edge.vehicles where old.checked do instead nothing;

create recursive view edge.chain (n) as
    select 1 union all select n + 1 from chain where n < 10;

-- Triggers that change a row run once, when the application writes; a restore must not run them again.
create trigger customers_touch before update on public.customers for each row execute function public.touch_updated_at();
create trigger objects_touch before update on storage.objects for each row execute function storage.update_updated_at_column();
create constraint trigger payments_cash after insert or update on public.payments
    deferrable initially deferred for each row execute function public.refuse_cheap_cash();

create function edge.spoil() returns trigger
language plpgsql
as $$
begin
    raise exception 'this trigger must not run during a restore';
end;
$$;
create trigger spoil before insert on edge.teams for each row execute function edge.spoil();
alter table edge.teams enable always trigger spoil;
create trigger disabled_one before insert on edge.players for each row execute function edge.spoil();
alter table edge.players disable trigger disabled_one;
create trigger partition_wide after insert on public.audit_log for each row when (new.action = 'never') execute function edge.spoil();

create function extensions.pgrst_ddl_watch() returns event_trigger
language plpgsql
as $$
begin
    notify pgrst, 'reload schema';
end;
$$;
create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_ddl_watch();
