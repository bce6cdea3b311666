#!/bin/sh
# DynamoDB Local, a program in Java that Maven brings; Maven and Java too where the system has none.
set -eu
. tests/setup/lib

have dynamodb-local && exit 0
say "bringing DynamoDB Local ..."
bring_java
place=$cache/dynamodb
mkdir -p "$place"
mvn -q -B -f tests/setup/dynamodb/pom.xml dependency:copy-dependencies "-DoutputDirectory=$place/jars"
javac -cp "$place/jars/*" -d "$place" tests/setup/dynamodb/DynamoDbOnLoopback.java
java="exec $(command -v java) -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dsqlite4java.library.path=$place/jars"
starter dynamodb-local "$java -cp '$place:$place/jars/*' DynamoDbOnLoopback"
