use kafka_batch::{Publish, Record};

async fn publish(brokers: &str) -> Result<(), Box<dyn std::error::Error>> {
    let producer = Producer::builder().set("bootstrap.servers", brokers).build()?;

    let mut batch = producer.batch();
    batch.extend([Record::new("21.5").key("sensor-7"), Record::new("21.7").key("sensor-7")])?;

    let delivery = producer.publish_batch(Publish::to("readings").batch(batch).partition(0)).await?;
    println!("the second record has offset {:?}", delivery.offset(1));
    Ok(producer.close().await?)
}
