-- Deleted and changed rows, so that blocks have holes and rows have moved; then tidy up and let the planner know.
alter table public.customers disable trigger customers_touch;
delete from public.courier_positions where id % 97 = 0;
delete from public.courier_positions where id between 5000 and 9000;
update public.orders set note = 'cambiado después' where id % 50 = 0;
update public.customers set loyalty_points = loyalty_points + 1 where id % 9 = 0;
delete from public.chat_messages where id % 41 = 0;
delete from auth.audit_log_entries where left(id::text, 1) = 'f';
delete from edge.altered where id % 4 = 0;
alter table public.customers enable trigger customers_touch;

drop schema generator cascade;
refresh materialized view public.sales_by_month;
refresh materialized view public.best_customers;
vacuum (analyze);
