-- Functions of (row number, salt) and the seed, from which every value of the sample comes. Dropped again at the end.
create schema generator;

-- Standard SQL bodies, so that psql puts the seed in. `salt` keeps the columns of one row independent of each other.
create function generator.whole(i bigint, salt integer) returns bigint
language sql immutable strict parallel safe
return hashint8extended(i, :seed * 1000003::bigint + salt) & 9223372036854775807;

create function generator.below(i bigint, salt integer, bound integer) returns integer
language sql immutable strict parallel safe
return ((hashint8extended(i, :seed * 1000003::bigint + salt) & 9223372036854775807) % bound)::integer;

-- from 0 (included) to 1 (excluded)
create function generator.unit(i bigint, salt integer) returns double precision
language sql immutable strict parallel safe
return (hashint8extended(i, :seed * 1000003::bigint + salt) & 9007199254740991) / 9007199254740992.0::double precision;

create function generator.one_of(i bigint, salt integer, words text[]) returns text
language sql immutable strict parallel safe
return words[1 + (hashint8extended(i, :seed * 1000003::bigint + salt) & 9223372036854775807) % cardinality(words)];

create function generator.id(i bigint, salt integer) returns uuid
language sql immutable strict parallel safe
return md5(:seed || '.' || salt || '.' || i)::uuid;

-- An instant of the year 2025, at most `days` after its start.
create function generator.instant(i bigint, salt integer, days integer) returns timestamptz
language sql immutable strict parallel safe
return timestamptz '2025-01-01 00:00:00+00'
    + floor(generator.unit(i, salt) * days * 86400000) * interval '1 millisecond';

-- Bytes that do not compress, in whole blocks of 32.
create function generator.noise(i bigint, salt integer, blocks integer) returns bytea
language sql immutable strict parallel safe
return (
    select string_agg(sha256(convert_to(:seed || '.' || salt || '.' || i || '.' || block, 'UTF8')), ''::bytea order by block)
    from generate_series(1, blocks) as block
);

create function generator.person(i bigint, salt integer) returns text
language sql immutable strict parallel safe
return generator.one_of(i, salt, array[
        'María José', 'João', 'Ana Sofía', 'Íñigo', 'Lucía', 'Santiago', 'Inês', 'Mateo', 'Valentina', 'Sebastián',
        'Camila', 'Joaquín', 'Conceição', 'Emiliano', 'Renata', 'Luis Ángel', 'Gabriela', 'Nicolás', 'Yáretzi', 'Óscar'
    ]) || ' ' || generator.one_of(i, salt + 1, array[
        'Muñoz', 'Gonçalves', 'Rodríguez', 'Peña', 'Araújo', 'Quispe', 'Núñez', 'Ortega', 'Güell', 'Mamani', 'Sepúlveda',
        'Fernández', 'Ibáñez', 'Coñuecar', 'Vásquez', 'D''Angelo', 'Ramírez', 'Assunção', 'Zúñiga', 'Huamán'
    ]) || ' ' || generator.one_of(i, salt + 2, array[
        'Rojas', 'Silva', 'Castro', 'Torres', 'Lima', 'Flores', 'Soto', 'Cárdenas', 'Medina', 'Bravo', 'Salazar', 'Ríos'
    ]);

create function generator.phrase(i bigint, salt integer) returns text
language sql immutable strict parallel safe
return generator.one_of(i, salt, array[
        'Buenas tardes', 'Hola', '¡Hola!', 'Disculpe', 'Oi, tudo bem?', 'Señor', 'Por favor', 'Urgente:', 'Gracias', 'Boa noite'
    ]) || ', ' || generator.one_of(i, salt + 1, array[
        'el balón de gas', 'a botija de 13 kg', 'mi pedido', 'el repartidor', 'la válvula', 'o entregador', 'el regulador',
        'la garrafa de 10 kg', 'el cilindro'
    ]) || ' ' || generator.one_of(i, salt + 2, array[
        'llega por la puerta de atrás', 'todavía no llegó', 'está en camino 🚚', 'precisa de troco para 100', 'pierde gas 🔥',
        'quedó con el portero', 'vem antes das 18h?', 'es de otro tamaño', 'se paga con Yape', 'ya fue entregado, gracias 🙏'
    ]) || generator.one_of(i, salt + 3, array['', '.', '...', ' ¿sí?', ' (depto. 402)', E'\n— enviado desde la app', '!!', ' :)']);
