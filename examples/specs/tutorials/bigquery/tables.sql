-- The four tables. For BigQuery itself: bq query --use_legacy_sql=false < bigquery/tables.sql
CREATE SCHEMA IF NOT EXISTS tutorials;
CREATE TABLE tutorials.houseprice_inputs (tensor ARRAY<FLOAT64>);
CREATE TABLE tutorials.houseprice_outputs (
  time DATETIME, in_tensor ARRAY<FLOAT64>, out_variable ARRAY<FLOAT64>, check_failures INT64
);
CREATE TABLE tutorials.forecast_inputs (
  dteday DATE, temp FLOAT64, holiday INT64, workingday INT64, windspeed FLOAT64
);
CREATE TABLE tutorials.forecast_outputs (date TIMESTAMP NOT NULL, forecast STRING NOT NULL);
